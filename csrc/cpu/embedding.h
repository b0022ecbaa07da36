// Rows of a table read and added to by index, on the host.
#pragma once

#include <stdint.h>

namespace hc {

// out[i] = table[index[i]]
void embedding(const float* table, int64_t columns, const int32_t* index, int64_t n, float* out, int threads);
// table[index[i]] += scale * source[i], in the order of i
void embedding_add(float* table, int64_t columns, const int32_t* index, int64_t n, const float* source, float scale,
                   int threads);

}  // namespace hc
