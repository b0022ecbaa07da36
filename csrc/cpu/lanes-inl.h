// Pieces of rows, `left` elements from their end: whole vectors, and a masked one for the rest (masked stores are slow on
// some processors). And one number from the lanes of a vector, halves folded onto each other: the order depends on the
// level alone. Included inside an ISA namespace after its vocabulary.

static HC_INLINE vm lanes_left(int64_t left) { return first_lanes(left < kLanes ? static_cast<int>(left) : kLanes); }

// What is absent reads as zero.
static HC_INLINE vf load_left(const float* p, int64_t left) {
    return left >= kLanes ? load(p) : load_masked(p, lanes_left(left));
}

static HC_INLINE void store_left(float* p, int64_t left, vf x) {
    if (left >= kLanes)
        store(p, x);
    else
        store_masked(p, lanes_left(left), x);
}

static inline float lane_sum(vf x) {
    float t[kLanes];
    store(t, x);
    for (int half = kLanes / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) t[i] += t[i + half];
    return t[0];
}

static inline float lane_max(vf x) {
    float t[kLanes];
    store(t, x);
    for (int half = kLanes / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) t[i] = t[i] > t[i + half] ? t[i] : t[i + half];
    return t[0];
}
