// Restricted Boltzmann machine for ratings (Salakhutdinov, Mnih and Hinton 2007): a machine for each user, whose visible
// units are the items that the user rated, each a softmax over K levels, with weights that all machines share.
//
// A level k of an item i reaches the hidden units through a row of H weights: w[i, k, :] of its own, or, where levels have
// scores, (score[k] - center) w[i, :], one row an item and a center a rating. So
//   x = b_hid + sum over ratings of row(i, level) + d[i]                      total input of the hidden units (eq. 2)
//   p(level k | h) = softmax_k(b_level[k] + b_vis[i, k] + score[k] field + row(i, k) . h)                        (eq. 1)
//   p(level k | other ratings) = softmax_k(... + sum_j softplus(x_j + row(i, k)_j))                              (eq. 10)
// Lanes are hidden units. Sums over hidden units go into 16 partial sums at every level, and a rating's row is added with
// one rounding, so all levels give the same bits. A user is a task of the first kernels, an item of the last three: no two
// tasks write to one place. Measured on one core with AVX-512, 64 users with 150 ratings each, 5000 items, K = 10, H = 100:
// a CD-1 update takes 0.8 us a rating (3.5 GFLOP/s: rows of w and their velocities, 8 KB an item, are read and written for
// few flops); an update by log conditionals with scores 1.9 us, 0.6 ns for each of its K H softplus and 2 K H sigmoids.
// Included inside an ISA namespace after math-inl.h, philox-inl.h and sample-inl.h.

constexpr int kCfVectors = 16 / kLanes;  // vectors of the 16 partial sums

// Weight of the shared row for level k of a rating, 1 where every level has a row of its own.
static inline float cf_scale(const CfModel& m, int level, float center) {
    return m.scores ? m.scores[level] - center : 1.0f;
}

static inline const float* cf_row(const CfModel& m, int32_t item, int level) {
    const float* rows = m.w + static_cast<int64_t>(item) * m.n_rows * m.n_hidden;
    return m.scores ? rows : rows + static_cast<int64_t>(level) * m.n_hidden;
}

static inline float cf_center(const CfRatings& r, int64_t n) { return r.centers ? r.centers[n] : 0.0f; }

static void cf_hidden(const CfHiddenArgs* a) {
    constexpr int kUnroll = 4;
    const CfModel& m = a->model;
    const int h = m.n_hidden;
    const uint32_t c0 = static_cast<uint32_t>(a->sample / 64 * 16 + a->sample % 16);
    const int word = static_cast<int>(a->sample % 64 / 16);
    const vf one = set1(1.0f);
    for (int j = 0; j < h; j += kUnroll * kLanes) {
        vf x[kUnroll];
        vm live[kUnroll];
        for (int q = 0; q < kUnroll; ++q) {
            const int left = h - j - q * kLanes;
            live[q] = first_lanes(left > 0 ? left : 0);
            x[q] = load_masked(m.b_hid + j + q * kLanes, live[q]);
        }
        for (int64_t n = 0; n < a->ratings.n; ++n) {
            const int32_t item = a->ratings.items[n];
            const int level = a->ratings.levels[n];
            const vf scale = set1(cf_scale(m, level, cf_center(a->ratings, n)));
            const float* row = cf_row(m, item, level) + j;
            for (int q = 0; q < kUnroll; ++q) x[q] = fma(scale, load_masked(row + q * kLanes, live[q]), x[q]);
            if (m.d) {
                const float* extra = m.d + static_cast<int64_t>(item) * h + j;
                for (int q = 0; q < kUnroll; ++q) x[q] = add(x[q], load_masked(extra + q * kLanes, live[q]));
            }
        }
        for (int q = 0; q < kUnroll && j + q * kLanes < h; ++q) {
            const int at = j + q * kLanes;
            if (a->x) store_masked(a->x + at, live[q], x[q]);
            if (a->probs) store_masked(a->probs + at, live[q], sigmoid_any(x[q]));
            if (!a->states) continue;
            const Philox4 draws =
                philox(iset1(c0), iadd(iset1(static_cast<uint32_t>(at)), iota()),
                       iset1(static_cast<uint32_t>(a->offset)), iset1(static_cast<uint32_t>(a->offset >> 32)),
                       static_cast<uint32_t>(a->seed), static_cast<uint32_t>(a->seed >> 32));
            const vf e = one_plus_exp(x[q], logistic_scale(1.0f));
            const vm on = cmp_lt(mul(uniform(draws.word[word]), e), one);
            store_masked(a->states + at, live[q], select(on, one, zero()));
        }
    }
}

// The sum of 16 partial sums, in one order at every level.
static inline float cf_reduce(const vf* sums) {
    float s[16];
    for (int v = 0; v < kCfVectors; ++v) store(s + v * kLanes, sums[v]);
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; ++i) s[i] += s[i + width];
    return s[0];
}

static inline float cf_dot(const float* x, const float* y, int n) {
    vf sums[kCfVectors];
    for (int v = 0; v < kCfVectors; ++v) sums[v] = zero();
    for (int j = 0; j < n; j += 16)
        for (int v = 0; v < kCfVectors; ++v) {
            const int left = n - j - v * kLanes;
            const vm live = first_lanes(left > 0 ? left : 0);
            sums[v] = fma(load_masked(x + j + v * kLanes, live), load_masked(y + j + v * kLanes, live), sums[v]);
        }
    return cf_reduce(sums);
}

// logits to unnormalised probabilities, largest 1; returns their sum.
static inline float cf_exponentials(float* logits, int n_levels) {
    float most = logits[0];
    for (int k = 1; k < n_levels; ++k) most = logits[k] > most ? logits[k] : most;
    for (int k = n_levels; k % kLanes; ++k) logits[k] = most;
    for (int k = 0; k < n_levels; k += kLanes) store(logits + k, exp_clamped(sub(load(logits + k), set1(most))));
    float total = 0.0f;
    for (int k = 0; k < n_levels; ++k) total += logits[k];
    return total;
}

// Total inputs of the levels of rating n, but for the hidden units' part.
static inline void cf_biases(const CfModel& m, const CfRatings& r, int64_t n, float* logits) {
    const float* own = m.b_vis + static_cast<int64_t>(r.items[n]) * m.n_levels;
    for (int k = 0; k < m.n_levels; ++k) logits[k] = m.b_level[k] + own[k];
    if (r.fields)
        for (int k = 0; k < m.n_levels; ++k) logits[k] += m.scores[k] * r.fields[n];
}

static void cf_visible(const CfVisibleArgs* a) {
    const CfModel& m = a->model;
    const CfRatings& r = a->ratings;
    const uint32_t c0 = static_cast<uint32_t>(a->sample / 64 * 16 + a->sample % 16);
    const int word = static_cast<int>(a->sample % 64 / 16);
    float draws[kLanes] = {}, logits[kCfMaxLevels];
    for (int64_t n = 0; n < r.n; ++n) {
        if (a->levels && n % kLanes == 0) {
            uint32_t units[kLanes] = {};
            for (int l = 0; l < kLanes && n + l < r.n; ++l) units[l] = static_cast<uint32_t>(r.items[n + l]);
            const Philox4 p = philox(iset1(c0), iload(units), iset1(static_cast<uint32_t>(a->offset)),
                                     iset1(static_cast<uint32_t>(a->offset >> 32)), static_cast<uint32_t>(a->seed),
                                     static_cast<uint32_t>(a->seed >> 32));
            store(draws, uniform(p.word[word]));
        }
        cf_biases(m, r, n, logits);
        if (m.scores) {
            const float dot = cf_dot(cf_row(m, r.items[n], 0), a->hidden, m.n_hidden);
            for (int k = 0; k < m.n_levels; ++k) logits[k] += m.scores[k] * dot;
        } else {
            for (int k = 0; k < m.n_levels; ++k) logits[k] += cf_dot(cf_row(m, r.items[n], k), a->hidden, m.n_hidden);
        }
        const float total = cf_exponentials(logits, m.n_levels);
        if (a->probs)
            for (int k = 0; k < m.n_levels; ++k) a->probs[n * m.n_levels + k] = logits[k] / total;
        if (a->levels) {
            const float threshold = draws[n % kLanes] * total;
            int level = 0;
            for (float sum = logits[0]; level + 1 < m.n_levels && sum <= threshold; sum += logits[++level]) {
            }
            a->levels[n] = static_cast<uint8_t>(level);
        }
    }
}

// rest = x without the rating's own part, which `x` has when `own` is not null.
static inline void cf_rest(const CfModel& m, const float* x, const float* own, float own_scale, const float* extra,
                           float* rest) {
    const vf scale = set1(own_scale);
    for (int j = 0; j < m.n_hidden; j += kLanes) {
        const vm live = first_lanes(m.n_hidden - j);
        vf y = load_masked(x + j, live);
        if (own) y = fnma(scale, load_masked(own + j, live), y);
        if (extra) y = sub(y, load_masked(extra + j, live));
        store_masked(rest + j, live, y);
    }
}

static inline const float* cf_extra(const CfModel& m, int32_t item) {
    return m.d ? m.d + static_cast<int64_t>(item) * m.n_hidden : nullptr;
}

static inline void cf_softplus(const float* x, float* y, int n) {
    for (int j = 0; j < n; j += kLanes) {
        const vm live = first_lanes(n - j);
        store_masked(y + j, live, softplus_any(load_masked(x + j, live)));
    }
}

// sum_j softplus(rest_j + scale row_j) - softplus(rest_j): small terms, so that float32 sums of them are exact enough.
static inline float cf_free_energy(const CfModel& m, const float* rest, const float* softplus_rest, const float* row,
                                   float row_scale) {
    const vf scale = set1(row_scale);
    vf sums[kCfVectors];
    for (int v = 0; v < kCfVectors; ++v) sums[v] = zero();
    for (int j = 0; j < m.n_hidden; j += 16)
        for (int v = 0; v < kCfVectors; ++v) {
            const int left = m.n_hidden - j - v * kLanes;
            if (left <= 0) break;
            const vm live = first_lanes(left);
            const int at = j + v * kLanes;
            const vf moved = fma(scale, load_masked(row + at, live), load_masked(rest + at, live));
            // Lanes outside the mask have softplus(0) here, and 0 to take off.
            const vf change = sub(softplus_any(moved), load_masked(softplus_rest + at, live));
            sums[v] = add_masked(sums[v], live, change);
        }
    return cf_reduce(sums);
}

static void cf_conditional(const CfConditionalArgs* a) {
    const CfModel& m = a->model;
    const CfRatings& r = a->ratings;
    float logits[kCfMaxLevels];
    const float* rest = a->leave_out ? a->scratch : a->x;
    float* softplus_rest = a->scratch + m.n_hidden;
    if (!a->leave_out) cf_softplus(rest, softplus_rest, m.n_hidden);
    for (int64_t n = 0; n < r.n; ++n) {
        const int32_t item = r.items[n];
        const float center = cf_center(r, n);
        if (a->leave_out) {
            const int level = r.levels[n];
            cf_rest(m, a->x, cf_row(m, item, level), cf_scale(m, level, center), cf_extra(m, item), a->scratch);
            cf_softplus(rest, softplus_rest, m.n_hidden);
        }
        cf_biases(m, r, n, logits);
        for (int k = 0; k < m.n_levels; ++k)
            logits[k] += cf_free_energy(m, rest, softplus_rest, cf_row(m, item, k), cf_scale(m, k, center));
        const float total = cf_exponentials(logits, m.n_levels);
        float* probs = a->probs + n * m.n_levels;
        for (int k = 0; k < m.n_levels; ++k) probs[k] = logits[k] / total;
        if (!a->pull) continue;
        for (int j = 0; j < m.n_hidden; j += kLanes) {
            const vm live = first_lanes(m.n_hidden - j);
            const vf base = load_masked(rest + j, live);
            vf pull = load_masked(a->pull + j, live);
            for (int k = 0; k < m.n_levels; ++k) {
                const vf error = set1((k == r.levels[n] ? 1.0f : 0.0f) - probs[k]);
                const vf row = load_masked(cf_row(m, item, k) + j, live);
                pull = fma(error, sigmoid_any(fma(set1(cf_scale(m, k, center)), row, base)), pull);
            }
            store_masked(a->pull + j, live, pull);
        }
    }
}

// y += scale * x
static inline void cf_axpy(float scale, const float* x, float* y, int n) {
    for (int j = 0; j < n; j += kLanes) {
        const vm live = first_lanes(n - j);
        store_masked(y + j, live, fma(set1(scale), load_masked(x + j, live), load_masked(y + j, live)));
    }
}

static void cf_item_divergence(const CfItemArgs* a) {
    const CfModel& m = a->model;
    const int h = m.n_hidden;
    for (int64_t e = 0; e < a->n; ++e) {
        const CfEntry& entry = a->entries[e];
        const float* before = a->before + entry.row * h;
        const float* after = a->after + entry.row * h;
        const int from = a->levels[entry.rating], to = a->new_levels[entry.rating];
        const float center = a->centers ? a->centers[entry.rating] : 0.0f;
        cf_axpy(cf_scale(m, from, center), before, m.scores ? a->grad_w : a->grad_w + from * h, h);
        cf_axpy(-cf_scale(m, to, center), after, m.scores ? a->grad_w : a->grad_w + to * h, h);
        if (a->grad_d) {
            cf_axpy(1.0f, before, a->grad_d, h);
            cf_axpy(-1.0f, after, a->grad_d, h);
        }
        a->grad_b[from] += 1.0f;
        a->grad_b[to] -= 1.0f;
    }
}

static void cf_item_conditional(const CfItemArgs* a) {
    const CfModel& m = a->model;
    const int h = m.n_hidden;
    float* rest = a->scratch;
    for (int64_t e = 0; e < a->n; ++e) {
        const CfEntry& entry = a->entries[e];
        const int level = a->levels[entry.rating];
        const float center = a->centers ? a->centers[entry.rating] : 0.0f;
        const float own_scale = cf_scale(m, level, center);
        const float* probs = a->probs + entry.rating * m.n_levels;
        cf_rest(m, a->before + entry.row * h, cf_row(m, a->item, level), own_scale, cf_extra(m, a->item), rest);
        float error[kCfMaxLevels];
        for (int k = 0; k < m.n_levels; ++k) {
            error[k] = (k == level ? 1.0f : 0.0f) - probs[k];
            a->grad_b[k] += error[k];
        }
        for (int j = 0; j < h; j += kLanes) {
            const vm live = first_lanes(h - j);
            const vf base = load_masked(rest + j, live);
            vf own_pull = zero(), shared = m.scores ? load_masked(a->grad_w + j, live) : zero();
            for (int k = 0; k < m.n_levels; ++k) {
                const float scale = cf_scale(m, k, center);
                const vf row = load_masked(cf_row(m, a->item, k) + j, live);
                const vf part = mul(set1(error[k]), sigmoid_any(fma(set1(scale), row, base)));
                own_pull = add(own_pull, part);
                if (m.scores) {
                    shared = fma(set1(scale), part, shared);
                } else {
                    float* grad = a->grad_w + k * h + j;
                    store_masked(grad, live, add(load_masked(grad, live), part));
                }
            }
            // As evidence, the rating moves the conditionals of the user's other ratings.
            const vf others = sub(load_masked(a->pull + entry.row * h + j, live), own_pull);
            if (m.scores) {
                store_masked(a->grad_w + j, live, fma(set1(own_scale), others, shared));
            } else {
                float* grad = a->grad_w + level * h + j;
                store_masked(grad, live, add(load_masked(grad, live), others));
            }
            if (a->grad_d) store_masked(a->grad_d + j, live, add(load_masked(a->grad_d + j, live), others));
        }
    }
}

static void cf_apply(const CfApplyArgs* a) {
    const vf ww = set1(a->ww), wv = set1(a->wv), vw = set1(a->vw), vv = set1(a->vv), rate = set1(a->rate);
    vf poison = zero();
    for (int64_t i = 0; i < a->n; i += kLanes) {
        const int64_t left = a->n - i;
        const vm live = first_lanes(left < kLanes ? static_cast<int>(left) : kLanes);
        const vf w = load_masked(a->w + i, live), v = load_masked(a->velocity + i, live);
        const vf kick = a->grad ? mul(rate, load_masked(a->grad + i, live)) : zero();
        const vf new_w = fma(ww, w, fma(wv, v, kick));
        store_masked(a->velocity + i, live, fma(vw, w, fma(vv, v, kick)));
        store_masked(a->w + i, live, new_w);
        poison = fma(new_w, zero(), poison);
    }
    if (mask_bits(is_nan(poison))) *a->nonfinite = 1;
}
