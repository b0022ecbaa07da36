// Convolution, max-pooling and batches of products through the C interface, meant to be built with sanitizers: odd shapes,
// arrays of exactly the size that the header asks for, every ISA level and thread count against plain loops on integers,
// refused arguments.
#include "check.h"

namespace {

// Runs around the vectors, strides beyond the kernel, padding beyond it, a kernel as large as the image, ranges of rows.
const std::vector<hc_conv2d_shape> kShapes = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},   {2, 3, 5, 7, 4, 3, 2, 1, 1, 1, 0},    {1, 2, 6, 6, 13, 1, 1, 2, 2, 0, 0},
    {2, 5, 9, 8, 17, 4, 3, 2, 3, 2, 4},  {3, 2, 4, 5, 3, 4, 5, 1, 1, 0, 0},    {1, 2, 7, 7, 3, 2, 2, 4, 5, 0, 0},
    {1, 1, 3, 40, 2, 3, 17, 1, 1, 0, 0}, {1, 2, 40, 33, 300, 3, 3, 1, 1, 1, 1}};

struct Problem {
    hc_conv2d_shape s;
    int64_t rows, columns;
    Floats x, w, b, dy, y, dx, dw, db;

    explicit Problem(const hc_conv2d_shape& shape) : s(shape) {
        rows = (s.height + 2 * s.padding_y - s.kernel_height) / s.stride_y + 1;
        columns = (s.width + 2 * s.padding_x - s.kernel_width) / s.stride_x + 1;
        Lcg rng(static_cast<uint64_t>(s.width + s.out_channels));
        x = integers(rng, s.batch * s.channels * s.height * s.width);
        w = integers(rng, s.out_channels * s.channels * s.kernel_height * s.kernel_width);
        b = integers(rng, s.out_channels);
        dy = integers(rng, s.batch * s.out_channels * rows * columns);
        y.resize(dy.size());
        dx.resize(x.size());
        dw.resize(w.size());
        db.resize(b.size());
        loops();
    }

    void loops() {
        for (int64_t n = 0; n < s.batch; ++n)
            for (int64_t o = 0; o < s.out_channels; ++o)
                for (int64_t i = 0; i < rows; ++i)
                    for (int64_t j = 0; j < columns; ++j) pixel(n, o, i, j);
    }

    void pixel(int64_t n, int64_t o, int64_t i, int64_t j) {
        const auto at = static_cast<size_t>(((n * s.out_channels + o) * rows + i) * columns + j);
        const float g = dy[at];
        float sum = b[static_cast<size_t>(o)];
        db[static_cast<size_t>(o)] += g;
        for (int64_t c = 0; c < s.channels; ++c)
            for (int64_t p = 0; p < s.kernel_height; ++p)
                for (int64_t q = 0; q < s.kernel_width; ++q) {
                    const int64_t r = i * s.stride_y + p - s.padding_y, t = j * s.stride_x + q - s.padding_x;
                    if (r < 0 || r >= s.height || t < 0 || t >= s.width) continue;
                    const auto k =
                        static_cast<size_t>(((o * s.channels + c) * s.kernel_height + p) * s.kernel_width + q);
                    const auto m = static_cast<size_t>(((n * s.channels + c) * s.height + r) * s.width + t);
                    sum += w[k] * x[m];
                    dw[k] += g * x[m];
                    dx[m] += g * w[k];
                }
        y[at] = sum;
    }
};

void test_convolution() {
    for (const hc_conv2d_shape& shape : kShapes) {
        const Problem p(shape);
        for (const int threads : {1, 3}) {
            Floats y(p.y.size()), dx(p.dx.size()), dw(p.dw.size()), db(p.db.size());
            auto forward = sized<hc_conv2d_args>();
            forward.shape = shape;
            forward.x = p.x.data();
            forward.w = p.w.data();
            forward.bias = p.b.data();
            forward.out = y.data();
            forward.threads = threads;
            CHECK_OK(hc_conv2d(&forward));
            CHECK(y == p.y);
            forward.activation = HC_ACTIVATION_RELU;
            CHECK_OK(hc_conv2d(&forward));
            Floats dy = p.dy;
            for (size_t i = 0; i < y.size(); ++i) {
                CHECK(y[i] == (p.y[i] > 0 ? p.y[i] : 0.0f));
                if (p.y[i] <= 0) dy[i] += 7;  // which the activation stops
            }
            auto backward = sized<hc_conv2d_backward_args>();
            backward.shape = shape;
            backward.x = p.x.data();
            backward.w = p.w.data();
            backward.dy = p.dy.data();
            backward.dx = dx.data();
            backward.dw = dw.data();
            backward.db = db.data();
            backward.threads = threads;
            CHECK_OK(hc_conv2d_backward(&backward));
            CHECK(dx == p.dx);
            CHECK(dw == p.dw);
            CHECK(db == p.db);
            backward.activation = HC_ACTIVATION_RELU;
            backward.y = y.data();
            CHECK_OK(hc_conv2d_backward(&backward));
            const Floats stopped = dx;
            backward.dy = dy.data();
            CHECK_OK(hc_conv2d_backward(&backward));
            CHECK(dx == stopped);
        }
    }
}

void test_refusals() {
    Problem p({1, 2, 3, 3, 2, 2, 2, 1, 1, 0, 0});
    Floats y(p.y.size());
    auto good = sized<hc_conv2d_args>();
    good.shape = p.s;
    good.x = p.x.data();
    good.w = p.w.data();
    good.out = y.data();
    const Refuser<hc_conv2d_args> refused(good, hc_conv2d);
    refused([](auto& a) { a.struct_size = 3; }, "struct_size", __LINE__);
    refused([](auto& a) { a.shape.batch = 0; }, "batch", __LINE__);
    refused([](auto& a) { a.shape.channels = INT64_MAX; }, "channels", __LINE__);
    refused([](auto& a) { a.shape.stride_x = 0; }, "stride_x", __LINE__);
    refused([](auto& a) { a.shape.padding_y = -1; }, "padding", __LINE__);
    refused([](auto& a) { a.shape.kernel_height = 4; }, "kernel_height", __LINE__);
    refused([](auto& a) { a.shape.kernel_width = 4; }, "kernel_width", __LINE__);
    refused([](auto& a) { a.shape.padding_y = a.shape.padding_x = INT32_MAX / 4; }, "too large", __LINE__);
    refused([](auto& a) { a.shape.batch = a.shape.channels = INT32_MAX; }, "too large", __LINE__);
    refused([](auto& a) { a.activation = 9; }, "activation", __LINE__);
    refused([](auto& a) { a.w = nullptr; }, "w", __LINE__);
    refused([&](auto& a) { a.out = p.x.data(); }, "must not share", __LINE__);
    auto gradients = sized<hc_conv2d_backward_args>();
    gradients.shape = p.s;
    gradients.x = p.x.data();
    gradients.w = p.w.data();
    gradients.dy = p.dy.data();
    gradients.dw = p.dw.data();
    const Refuser<hc_conv2d_backward_args> not_backward(gradients, hc_conv2d_backward);
    not_backward([](auto& a) { a.dw = nullptr; }, "at least one", __LINE__);
    not_backward([](auto& a) { a.activation = HC_ACTIVATION_TANH; }, "y", __LINE__);
    not_backward([](auto& a) { a.x = nullptr; }, "x", __LINE__);
    not_backward([](auto& a) { a.dx = a.dw; }, "must not share", __LINE__);
}

void test_pooling() {
    const int64_t planes = 5, height = 7, width = 9, rows = 3, columns = 4;
    Lcg rng(3);
    const Floats x = integers(rng, planes * height * width), dy = integers(rng, planes * rows * columns);
    Floats y(dy.size()), dx(x.size()), expected(x.size());
    std::vector<int32_t> index(dy.size());
    auto a = sized<hc_max_pool_args>();
    a.planes = planes;
    a.height = height;
    a.width = width;
    a.window_height = 3;
    a.window_width = 2;
    a.stride_y = 2;
    a.stride_x = 2;
    a.x = x.data();
    a.y = y.data();
    a.index = index.data();
    CHECK_OK(hc_max_pool(&a));
    for (int64_t n = 0; n < planes; ++n)
        for (int64_t i = 0; i < rows * columns; ++i) {
            const auto at = static_cast<size_t>(n * rows * columns + i);
            const int64_t first = i / columns * 2 * width + i % columns * 2;
            int64_t best = first;
            for (int64_t tap = 0; tap < 6; ++tap) {
                const int64_t other = first + tap / 2 * width + tap % 2;
                if (x[static_cast<size_t>(n * height * width + other)] >
                    x[static_cast<size_t>(n * height * width + best)])
                    best = other;
            }
            CHECK(index[at] == best);
            CHECK(y[at] == x[static_cast<size_t>(n * height * width + best)]);
            expected[static_cast<size_t>(n * height * width + best)] += dy[at];
        }
    auto b = sized<hc_max_pool_backward_args>();
    b.planes = planes;
    b.plane = height * width;
    b.windows = rows * columns;
    b.dy = dy.data();
    b.index = index.data();
    b.dx = dx.data();
    CHECK_OK(hc_max_pool_backward(&b));
    CHECK(dx == expected);
    index[7] = static_cast<int32_t>(height * width);
    CHECK_REFUSED(hc_max_pool_backward(&b), "index");
    a.window_height = 8;
    CHECK_REFUSED(hc_max_pool(&a), "window_height");
}

// Every second row of the last rows of larger matrices, backwards, times one transposed matrix for each pair of them.
void test_batches() {
    for (const int64_t size : {1, 5, 12, 33}) {
        const int64_t m = size, n = size + 1, k = 2 * size + 1, lda = k + 2;
        Lcg rng(static_cast<uint64_t>(size));
        const Floats a = integers(rng, 6 * 2 * m * lda - 2), b = integers(rng, 3 * n * k);
        Floats out(static_cast<size_t>(6 * m * n), -9.0f);
        const int64_t shape[] = {3, 1, 2}, a_strides[] = {4 * m * lda, 0, 2 * m * lda}, b_strides[] = {n * k, 5, 0};
        const int64_t out_strides[] = {2 * m * n, 0, m * n};
        auto p = sized<hc_batched_matmul_args>();
        p.m = m;
        p.n = n;
        p.k = k;
        p.batch_dims = 3;
        p.batch_shape = shape;
        p.a = a.data() + (2 * m - 1) * lda;
        p.a_strides = a_strides;
        p.lda = -2 * lda;
        p.b = b.data();
        p.b_strides = b_strides;
        p.ldb = k;
        p.trans_b = 1;
        p.out = out.data();
        p.out_strides = out_strides;
        p.ld_out = n;
        p.threads = 3;
        CHECK_OK(hc_batched_matmul(&p));
        for (int64_t t = 0; t < 6; ++t)
            for (int64_t i = 0; i < m; ++i)
                for (int64_t j = 0; j < n; ++j) {
                    float sum = 0;
                    for (int64_t l = 0; l < k; ++l)
                        sum += a[static_cast<size_t>((t * 2 * m + 2 * m - 1 - 2 * i) * lda + l)] *
                               b[static_cast<size_t>((t / 2 * n + j) * k + l)];
                    CHECK(out[static_cast<size_t>((t * m + i) * n + j)] == sum);
                }
        p.ld_out = 0;
        if (m > 1) CHECK_REFUSED(hc_batched_matmul(&p), "ld_out");
        p.ld_out = n;
        p.batch_dims = 65;
        CHECK_REFUSED(hc_batched_matmul(&p), "batch_dims");
    }
}

}  // namespace

int main() {
    test_refusals();
    return run_at_every_level({test_convolution, test_pooling, test_batches});
}
