// General float32 matrix product on the host.
#pragma once

#include <stdint.h>

namespace hc {

struct Matmul {
    int64_t m, n, k;          // c [m, n] = op(a) [m, k] x op(b) [k, n]
    const float* a;           // [m, k], or [k, m] when trans_a
    int64_t lda;              // row stride in floats
    bool trans_a = false;
    const float* b;           // [k, n], or [n, k] when trans_b
    int64_t ldb;
    bool trans_b = false;
    float* c;
    int64_t ldc;
    const float* bias = nullptr;  // [n], added to every row; null: none
    float alpha = 1.0f;       // c = alpha * product + bias
    int threads = 0;
};

void matmul(const Matmul& p);

}  // namespace hc
