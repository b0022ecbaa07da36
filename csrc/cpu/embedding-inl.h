// Rows added to the rows of a table that their indices name: table[index[i]] += scale * source[i], for those i in order whose
// index lies in [first, last). Every task owns such a range of the table and looks through all indices, so each sum has the
// order of the indices whatever the number of threads. Bound by bandwidth. Included inside an ISA namespace.

static void scatter_rows(const ScatterRowsArgs* p) {
    const vf scale = set1(p->scale);
    for (int64_t i = 0; i < p->n; ++i) {
        const int32_t index = p->index[i];
        if (index < p->first || index >= p->last) continue;
        const float* source = p->source + i * p->n_cols;
        float* row = p->table + index * p->n_cols;
        for (int64_t c = 0; c < p->n_cols; c += kLanes) {
            const int64_t left = p->n_cols - c;
            store_left(row + c, left, fma(scale, load_left(source + c, left), load_left(row + c, left)));
        }
    }
}
