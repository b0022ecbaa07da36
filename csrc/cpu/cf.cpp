#include "cpu/cf.h"

#include <algorithm>

#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {

CfModel cf_model(const hc_cf_model& m) {
    CfModel model{};
    model.n_levels = static_cast<int>(m.n_levels);
    model.n_hidden = static_cast<int>(m.n_hidden);
    model.n_rows = m.scores ? 1 : model.n_levels;
    model.scores = m.scores;
    model.w = m.w;
    model.d = m.d;
    model.b_vis = m.b_vis;
    model.b_level = m.b_level;
    model.b_hid = m.b_hid;
    return model;
}

CfRatings cf_ratings(const hc_cf_ratings& r, int64_t u) {
    const int64_t first = r.indptr[u];
    return {r.indptr[u + 1] - first, r.items + first, r.levels ? r.levels + first : nullptr,
            r.centers ? r.centers + first : nullptr, r.fields ? r.fields + first : nullptr};
}

uint64_t cf_sample(const hc_cf_ratings& r, int64_t u) { return static_cast<uint64_t>(r.users ? r.users[u] : u); }

void cf_hidden(const hc_cf_hidden_args& p) {
    const KernelTable& kernel = kernels();
    const CfModel model = cf_model(p.model);
    const int64_t h = p.model.n_hidden;
    parallel_for(p.ratings.n_users, p.threads, [&](int64_t u) {
        CfHiddenArgs a{};
        a.model = model;
        a.ratings = cf_ratings(p.ratings, u);
        a.x = p.x ? p.x + u * h : nullptr;
        a.probs = p.probs ? p.probs + u * h : nullptr;
        a.states = p.states ? p.states + u * h : nullptr;
        a.seed = p.seed;
        a.offset = p.offset;
        a.sample = cf_sample(p.ratings, u);
        kernel.cf_hidden(&a);
    });
}

void cf_visible(const hc_cf_visible_args& p) {
    const KernelTable& kernel = kernels();
    const CfModel model = cf_model(p.model);
    parallel_for(p.ratings.n_users, p.threads, [&](int64_t u) {
        const int64_t first = p.ratings.indptr[u];
        CfVisibleArgs a{};
        a.model = model;
        a.ratings = cf_ratings(p.ratings, u);
        a.hidden = p.hidden + u * p.model.n_hidden;
        a.levels = p.levels ? p.levels + first : nullptr;
        a.probs = p.probs ? p.probs + first * p.model.n_levels : nullptr;
        a.seed = p.seed;
        a.offset = p.offset;
        a.sample = cf_sample(p.ratings, u);
        kernel.cf_visible(&a);
    });
}

void cf_conditional(const hc_cf_conditional_args& p, float* pull) {
    const KernelTable& kernel = kernels();
    const CfModel model = cf_model(p.model);
    const int64_t h = p.model.n_hidden;
    Workspace workspace;
    float* scratch = workspace.take<float>(2 * p.ratings.n_users * h);
    parallel_for(p.ratings.n_users, p.threads, [&](int64_t u) {
        CfConditionalArgs a{};
        a.model = model;
        a.ratings = cf_ratings(p.ratings, u);
        a.x = p.x + u * h;
        a.leave_out = p.leave_out;
        a.probs = p.probs + p.ratings.indptr[u] * p.model.n_levels;
        a.pull = pull ? pull + u * h : nullptr;
        if (pull) std::fill(a.pull, a.pull + h, 0.0f);
        a.scratch = scratch + 2 * u * h;
        kernel.cf_conditional(&a);
    });
}

}  // namespace hc
