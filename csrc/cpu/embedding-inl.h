// Rows added to the rows of a table that their indices name: table[index[i]] += scale * source[i], for the i of a list, in its
// order. A row of the table belongs to one list, and lists rise, so each sum has the order of the indices whatever the
// number of threads. Bound by bandwidth, and by the latency of rows far apart, which are fetched a few ahead: measured on one
// Zen 5 core with AVX-512, 100 GB/s from L2, 60 GB/s with 1280 rows of 100 floats all over a table of 7 MB.
// Included inside an ISA namespace after lanes-inl.h.

constexpr int64_t kScatterAhead = 4;    // rows
constexpr int64_t kScatterFetch = 128;  // floats of each; what follows in a long row comes by itself

static HC_INLINE void scatter_fetch(const ScatterRowsArgs* p, int64_t at) {
    if (at >= p->n) return;
    const int64_t i = p->order ? p->order[at] : at;
    constexpr int64_t kLine = 16;  // floats
    for (int64_t c = 0; c < p->n_cols && c < kScatterFetch; c += kLine)
        prefetch(p->table + p->index[i] * p->n_cols + c);
}

static void scatter_rows(const ScatterRowsArgs* p) {
    constexpr int64_t kUnroll = 4;
    const vf scale = set1(p->scale);
    for (int64_t at = 0; at < kScatterAhead; ++at) scatter_fetch(p, at);
    for (int64_t at = 0; at < p->n; ++at) {
        scatter_fetch(p, at + kScatterAhead);
        const int64_t i = p->order ? p->order[at] : at;
        const float* source = p->source + i * p->n_cols;
        float* row = p->table + p->index[i] * p->n_cols;
        int64_t c = 0;
        for (; c + kUnroll * kLanes <= p->n_cols; c += kUnroll * kLanes)
            for (int64_t u = c; u < c + kUnroll * kLanes; u += kLanes)
                store(row + u, fma(scale, load(source + u), load(row + u)));
        for (; c < p->n_cols; c += kLanes) {
            const int64_t left = p->n_cols - c;
            store_left(row + c, left, fma(scale, load_left(source + c, left), load_left(row + c, left)));
        }
    }
}
