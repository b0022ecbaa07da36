#include "cpu/batched_matmul.h"

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/matmul.h"
#include "cpu/thread_pool.h"

namespace hc {
namespace {

constexpr double kTaskProducts = 1 << 18;  // multiply-adds that are worth a task
constexpr int64_t kMatricesPerThread = 4;  // from which on whole matrices are handed out, whatever their size

// The batch as few dimensions as it takes, the last varying fastest.
struct Batch {
    int dims = 0;
    int64_t size[kMaxBatchDims], a[kMaxBatchDims], b[kMaxBatchDims], out[kMaxBatchDims];
    int64_t count = 1;

    explicit Batch(const hc_batched_matmul_args& p) {
        for (int d = 0; d < p.batch_dims; ++d) {
            if (p.batch_shape[d] == 1) continue;
            size[dims] = p.batch_shape[d];
            a[dims] = p.a_strides[d];
            b[dims] = p.b_strides[d];
            out[dims] = p.out_strides[d];
            count *= size[dims++];
        }
    }

    void drop_last() { count /= size[--dims]; }
};

}  // namespace

void batched_matmul(const hc_batched_matmul_args& p) {
    Batch batch(p);
    Matmul one{};
    one.m = p.m;
    one.n = p.n;
    one.k = p.k;
    one.lda = p.lda;
    one.trans_a = p.trans_a != 0;
    one.ldb = p.ldb;
    one.trans_b = p.trans_b != 0;
    one.ldc = p.ld_out;
    // The same B for matrices A whose rows continue one another: one tall product.
    const auto continues = [&](int d) {
        return batch.b[d] == 0 && !p.trans_a && batch.a[d] == one.m * p.lda && batch.out[d] == one.m * p.ld_out;
    };
    while (batch.dims && continues(batch.dims - 1)) {
        one.m *= batch.size[batch.dims - 1];
        batch.drop_last();
    }
    const auto at = [&](int64_t index) {
        Matmul q = one;
        q.a = p.a;
        q.b = p.b;
        q.c = p.out;
        for (int d = batch.dims - 1; d >= 0; --d) {
            const int64_t i = index % batch.size[d];
            index /= batch.size[d];
            q.a += i * batch.a[d];
            q.b += i * batch.b[d];
            q.c += i * batch.out[d];
        }
        return q;
    };
    const auto multiply = [&](int64_t index, int threads) {
        Matmul q = at(index);
        q.threads = threads;
        matmul(q);
    };
    const double products = static_cast<double>(one.m) * static_cast<double>(one.n) * static_cast<double>(one.k);
    const double all = products * static_cast<double>(batch.count);
    const int threads = all < kTaskProducts ? 1 : p.threads > 0 ? p.threads : max_threads();
    if (products >= kTaskProducts && batch.count < threads * kMatricesPerThread) {
        for (int64_t i = 0; i < batch.count; ++i) multiply(i, threads);
        return;
    }
    const int64_t share = std::max<int64_t>(static_cast<int64_t>(kTaskProducts / products), 1);
    const bool small = is_small(one) && batch.dims;  // then those along the last dimension go in one call
    const int inner = batch.dims - 1;
    parallel_for(ceil_div(batch.count, share), threads, [&](int64_t task) {
        const int64_t end = std::min((task + 1) * share, batch.count);
        for (int64_t i = task * share, run; i < end; i += run) {
            run = small ? std::min(batch.size[inner] - i % batch.size[inner], end - i) : 1;
            if (small)
                small_matmuls(at(i), run, batch.a[inner], batch.b[inner], batch.out[inner]);
            else
                multiply(i, 1);
        }
    });
}

}  // namespace hc
