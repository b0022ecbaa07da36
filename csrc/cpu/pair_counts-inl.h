// How often pairs of units are on together, over chains: the statistics p_ij of the 1985 learning rule (Ackley, Hinton and
// Sejnowski, eq. 9).
//
//   counts[i, j] += sum over words of popcount(state[word, i] & state[word, j])    for j <= i
//
// Units lie side by side within a word of 64 chains, so the row of i is one pass over contiguous words; a row of counts
// stays in L1 for up to some 4000 units. An and, a popcount and an add to memory for 64 multiply-adds: integers, so exact
// in any order. Counting after each sweep costs about as much as the sweep at 1000 units (bench/dense.py), and less at
// fewer. Included inside an ISA namespace.

static void pair_counts(const PairCountsArgs* a) {
    const int64_t n = a->n_units;
    for (int64_t i = 0; i < n; ++i) {
        int64_t* row = a->counts + i * n;
        for (int64_t word = 0; word < a->n_words; ++word) {
            const uint64_t* state = a->state + word * n;
            const uint64_t mine = state[i];
            if (mine)
                for (int64_t j = 0; j <= i; ++j) row[j] += __builtin_popcountll(mine & state[j]);
        }
    }
}
