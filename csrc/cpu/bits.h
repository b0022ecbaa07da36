// Bit matrices on the host: packing, unpacking, transposing. "Unit-major" is the public layout (a row a unit, samples are
// the bits); "sample-major" is what the lookup kernels read (a row a sample). Both are n rows of bit_words(m) words.
#pragma once

#include <stdint.h>

namespace hc {

inline int64_t bit_words(int64_t n) { return (n + 63) / 64; }

// dst[n_cols rows of bit_words(n_rows)] = transpose of src[n_rows rows of bit_words(n_cols)]: as tasks, in any order and on
// any thread, or at once.
struct BitTransposition {
    const uint64_t* src;
    int64_t n_rows, n_cols;
    uint64_t* dst;

    int64_t tasks() const { return bit_words(n_cols); }
    void run(int64_t task) const;
};
void transpose_bits(const uint64_t* src, int64_t n_rows, int64_t n_cols, uint64_t* dst, int threads);

enum class Values { binary, unit_interval, other };

// Sample-major bits of x[n_rows, n_cols] (bit = nonzero), and what kind of values x holds.
Values pack_rows(const float* x, int64_t n_rows, int64_t n_cols, uint64_t* rows, int threads);
void unpack_rows(const uint64_t* rows, int64_t n_rows, int64_t n_cols, float* x, int threads);

// The words bit_product reads: codes[c, r] = bits [60 c, 60 c + 60) of row r, for rows of n_bits bits.
// codes: [chunk_count(n_bits), n_rows]
int64_t chunk_count(int64_t n_bits);
void chunk_codes(const uint64_t* rows, int64_t n_rows, int64_t n_bits, uint64_t* codes, int threads);
void one_chunk_codes(const uint64_t* rows, int64_t n_rows, int64_t n_bits, int64_t chunk, uint64_t* codes);  // [n_rows]

// Bits set in a, and in a xor b.
int64_t count_bits(const uint64_t* a, int64_t words);
int64_t count_differences(const uint64_t* a, const uint64_t* b, int64_t words);

}  // namespace hc
