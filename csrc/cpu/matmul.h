// General float32 matrix product on the host.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "hintoncore/hintoncore.h"

namespace hc {

struct Matmul {
    int64_t m, n, k;  // c [m, n] = op(a) [m, k] x op(b) [k, n]
    const float* a;   // [m, k], or [k, m] when trans_a
    int64_t lda;      // row stride in floats
    bool trans_a = false;
    const float* b;  // [k, n], or [n, k] when trans_b
    int64_t ldb;
    bool trans_b = false;
    float* c;
    int64_t ldc;
    const float* bias = nullptr;  // [n], added to every row; null: none
    float alpha = 1.0f;           // c = activation(alpha * product + bias)
    int activation = HC_ACTIVATION_NONE;
    int threads = 0;
};

// Every element is summed over k in an order that depends on k alone. c must not overlap a, b or bias.
void matmul(const Matmul& p);

// Whether B is so small that the operands are best left where they lie.
bool is_small(const Matmul& p);

// `count` small products on the calling thread: of the next matrices a_next, b_next and c_next floats further. Bias, alpha and
// activation are those of a single one.
void small_matmuls(const Matmul& p, int64_t count, ptrdiff_t a_next, ptrdiff_t b_next, ptrdiff_t c_next);

}  // namespace hc
