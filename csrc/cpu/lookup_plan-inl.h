// Which groups of a chunk of inputs the rows of a lookup product read (bit_product-inl.h), found out once for all output units:
// a record of each row's groups that are not zero, and the rows in order of the lengths of their records, so that rows of
// one length are read together without a branch. Included inside an ISA namespace.

// Lengths of records, over what reading all groups takes, up to which records pay. Reading by code takes 4, 8 or 12 groups.
constexpr int64_t kRecordShare = 11, kRecordPays = 6;

// By a sample of the rows, where there are many.
static inline bool records_pay(const LookupPlanArgs* a) {
    const int64_t step = a->n_rows >= 64 ? 8 : 1, by_code = (a->n_groups + 3) / 4 * 4;
    int64_t n = 0, seen = 0;
    for (int64_t r = 0; r < a->n_rows; r += step, ++seen) n += count_groups(a->codes[r]);
    return n * kRecordShare <= by_code * seen * kRecordPays;
}

static void lookup_plan(const LookupPlanArgs* a) {
    LookupChunk* const chunk = a->chunk;
    chunk->records = nullptr;
    if (!records_pay(a)) return;
    uint64_t used = 0;
    uint32_t count[kChunkGroups + 1] = {};
    for (int64_t r = 0; r < a->n_rows; ++r) {
        used |= a->codes[r];
        ++count[count_groups(a->codes[r])];
    }
    chunk->used = used;

    // Each length's place in the order. The last rows of a length make up a four with the first of the next.
    uint32_t next[kChunkGroups + 1], sum = 0;
    for (int n = kChunkGroups; n >= 0; --n) {
        next[n] = sum;
        sum += count[n];
        const int64_t end = (int64_t{sum} + 3) / 4 * 4;
        chunk->ends[kChunkGroups - n] = static_cast<uint32_t>(end < a->n_rows ? end : a->n_rows);
    }
    for (int64_t r = 0; r < a->n_rows; ++r) {
        uint64_t fields[2];
        const int n = nonzero_groups(a->codes[r], fields);
        uint64_t* record = a->records + 2 * static_cast<size_t>(next[n]++);
        record[0] = fields[0] | static_cast<uint64_t>(r) << kRecordRowBit;
        record[1] = fields[1];
    }
    chunk->records = a->records;
}
