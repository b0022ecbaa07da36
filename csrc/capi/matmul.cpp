#include "cpu/matmul.h"

#include <cmath>

#include "capi/border.h"

namespace hc {
namespace {

// Floats from the first to one past the last element of a matrix whose rows are `ld` apart.
int64_t span(int64_t rows, int64_t columns, int64_t ld) { return (rows - 1) * ld + columns; }

void require_leading(int64_t ld, int64_t columns, const char* name) {
    if (ld < columns || ld > INT32_MAX)
        invalid(std::string(name) + ": expected at least the " + std::to_string(columns) + " columns stored, got " +
                std::to_string(ld));
}

void checked_matmul(const hc_matmul_args& p) {
    require_size(p.m, "m");
    require_size(p.n, "n");
    require_size(p.k, "k");
    require_pointer(p.a, "a");
    require_pointer(p.b, "b");
    require_pointer(p.out, "out");
    const int64_t a_rows = p.trans_a ? p.k : p.m, a_columns = p.trans_a ? p.m : p.k;
    const int64_t b_rows = p.trans_b ? p.n : p.k, b_columns = p.trans_b ? p.k : p.n;
    require_leading(p.lda, a_columns, "lda");
    require_leading(p.ldb, b_columns, "ldb");
    require_leading(p.ld_out, p.n, "ld_out");
    require_elements(a_rows, p.lda, "a");
    require_elements(b_rows, p.ldb, "b");
    require_elements(p.m, p.ld_out, "out");
    require_activation(p.activation);
    require(std::isfinite(p.alpha), "alpha: expected a finite value");
    require_threads(p.threads);
    const int64_t out_span = span(p.m, p.n, p.ld_out);
    require_apart(p.out, out_span, "out", p.a, span(a_rows, a_columns, p.lda), "a");
    require_apart(p.out, out_span, "out", p.b, span(b_rows, b_columns, p.ldb), "b");
    if (p.bias) require_apart(p.out, out_span, "out", p.bias, p.n, "bias");
    Matmul q{};
    q.m = p.m;
    q.n = p.n;
    q.k = p.k;
    q.a = p.a;
    q.lda = p.lda;
    q.trans_a = p.trans_a != 0;
    q.b = p.b;
    q.ldb = p.ldb;
    q.trans_b = p.trans_b != 0;
    q.c = p.out;
    q.ldc = p.ld_out;
    q.bias = p.bias;
    q.alpha = p.alpha;
    q.activation = p.activation;
    q.threads = p.threads;
    matmul(q);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_matmul(const hc_matmul_args* args) {
    return hc::at_border([&] { hc::checked_matmul(hc::read_args(args)); });
}

}  // extern "C"
