// Bit matrices on the host: packing, unpacking, transposing. "Unit-major" is the public layout (a row a unit, samples are
// the bits); "sample-major" is what the lookup kernels read (a row a sample). Rows are of bit_words(m) words, m the bits.
#pragma once

#include <stdint.h>

#include "cpu/workspace.h"

namespace hc {

inline int64_t bit_words(int64_t n) { return (n + 63) / 64; }

// Word j of row r is words[j * word_step + r * row_step].
template <class Word>
struct BitRowsOf {
    Word* words = nullptr;
    int64_t row_step = 0, word_step = 0;

    explicit operator bool() const { return words != nullptr; }
    operator BitRowsOf<const Word>() const { return {words, row_step, word_step}; }
    BitRowsOf from(int64_t row) const { return {words + row * row_step, row_step, word_step}; }
    Word* column(int64_t j) const { return words + j * word_step; }
};
using BitRows = BitRowsOf<uint64_t>;
using ConstBitRows = BitRowsOf<const uint64_t>;

// Unit-major bits, a row after the other.
template <class Word>
BitRowsOf<Word> unit_rows(Word* words, int64_t batch) {
    return {words, bit_words(batch), 1};
}
// Sample-major bits of the workspace's: the first words of all samples, then the second, each such column on cache lines of
// its own. Threads write different units of the same samples; were a row's words side by side, they would take its lines
// from each other at every write.
BitRows take_sample_rows(int64_t n_samples, int64_t n_units, Workspace& workspace);

// dst [n_cols rows] = transpose of src [n_rows rows of n_cols bits]: as tasks, in any order and on any thread, or at once.
struct BitTransposition {
    ConstBitRows src;
    int64_t n_rows, n_cols;
    BitRows dst;

    int64_t tasks() const { return bit_words(n_cols); }
    void run(int64_t task) const;
};
void transpose_bits(ConstBitRows src, int64_t n_rows, int64_t n_cols, BitRows dst, int threads);

enum class Values { binary, unit_interval, other };

// Sample-major bits of x[n_rows, n_cols] (bit = nonzero), and what kind of values x holds.
Values pack_rows(const float* x, int64_t n_rows, int64_t n_cols, BitRows rows, int threads);
void unpack_rows(ConstBitRows rows, int64_t n_rows, int64_t n_cols, float* x, int threads);

// The words bit_product reads: codes[c, r] = bits [60 c, 60 c + 60) of row r, for rows of n_bits bits.
// codes: [chunk_count(n_bits), n_rows]
int64_t chunk_count(int64_t n_bits);
void chunk_codes(ConstBitRows rows, int64_t n_rows, int64_t n_bits, uint64_t* codes, int threads);
void one_chunk_codes(ConstBitRows rows, int64_t n_rows, int64_t n_bits, int64_t chunk, uint64_t* codes);  // [n_rows]

// Bits set in a, and in a xor b.
int64_t count_bits(const uint64_t* a, int64_t words);
int64_t count_differences(const uint64_t* a, const uint64_t* b, int64_t words);

}  // namespace hc
