// How often pairs of units are on together, over chains: the statistics p_ij of the 1985 learning rule (Ackley, Hinton and
// Sejnowski, eq. 9).
//
//   counts[i, j] += sum over words of popcount(state[word, i] & state[word, j])    for j <= i
//
// Units lie side by side within a word of 64 chains, so the row of i is one pass over contiguous words; four words are
// counted before the row is touched, and the row itself stays in L1 up to some 4000 units. An and and a popcount for 64
// multiply-adds: integers, so exact in any order. Measured on one core at AVX-512 with 1000 units: 0.43 ns for a pair and
// 64 chains (a popcount instruction each; three quarters of the time of the sweep that is counted) with 512 chains, twice
// that with 64 because results are written and mirrored once a call.
// Included inside an ISA namespace.

template <int kWords>
static HC_INLINE void count_row(const uint64_t* state, int64_t n, int64_t i, int64_t* row) {
    for (int64_t j = 0; j <= i; ++j) {
        int64_t together = 0;
#pragma GCC unroll 4
        for (int w = 0; w < kWords; ++w) together += __builtin_popcountll(state[w * n + i] & state[w * n + j]);
        row[j] += together;
    }
}

static void pair_counts(const PairCountsArgs* a) {
    const int64_t n = a->n_units;
    for (int64_t i = 0; i < n; ++i) {
        int64_t word = 0;
        for (; word + 4 <= a->n_words; word += 4) count_row<4>(a->state + word * n, n, i, a->counts + i * n);
        for (; word < a->n_words; ++word) count_row<1>(a->state + word * n, n, i, a->counts + i * n);
    }
}
