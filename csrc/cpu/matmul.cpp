#include "cpu/matmul.h"

namespace hc {
void matmul(const Matmul& p) {
    for (int64_t i = 0; i < p.m; ++i)
        for (int64_t j = 0; j < p.n; ++j) {
            float s = 0;
            for (int64_t k = 0; k < p.k; ++k)
                s += (p.trans_a ? p.a[k * p.lda + i] : p.a[i * p.lda + k]) * (p.trans_b ? p.b[j * p.ldb + k] : p.b[k * p.ldb + j]);
            p.c[i * p.ldc + j] = p.alpha * s + (p.bias ? p.bias[j] : 0.0f);
        }
}
}  // namespace hc
