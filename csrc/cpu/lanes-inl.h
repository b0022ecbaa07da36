// One number from the lanes of a vector, halves folded onto each other: the order depends on the level alone.
// Included inside an ISA namespace after its vocabulary.

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
