#include <algorithm>
#include <cmath>
#include <limits>

#include "common/status.h"
#include "cpu/cf.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Tiles of items: their borders depend on the ratings alone.
constexpr int64_t kItemTiles = 64;

// Matrix of one update of (parameter, velocity) with a gradient of 0.
struct Decay {
    double ww, wv, vw, vv;
};

Decay one_update(double rate, double momentum, double decay) {
    return {1.0 - rate * decay, momentum, -rate * decay, momentum};
}

Decay product(const Decay& a, const Decay& b) {
    return {a.ww * b.ww + a.wv * b.vw, a.ww * b.wv + a.wv * b.vv, a.vw * b.ww + a.vv * b.vw, a.vw * b.wv + a.vv * b.vv};
}

Decay power(Decay base, int64_t n) {
    Decay result{1.0, 0.0, 0.0, 1.0};
    for (; n; n /= 2, base = product(base, base))
        if (n % 2) result = product(result, base);
    return result;
}

CfApplyArgs apply_args(const Decay& m, float* w, float* velocity, int64_t n, int* nonfinite) {
    CfApplyArgs a{};
    a.w = w;
    a.velocity = velocity;
    a.n = n;
    a.ww = static_cast<float>(m.ww);
    a.wv = static_cast<float>(m.wv);
    a.vw = static_cast<float>(m.vw);
    a.vv = static_cast<float>(m.vv);
    a.nonfinite = nonfinite;
    return a;
}

// The parameters of the items, and how to bring one of them up to date or one update further.
class ItemUpdates {
   public:
    ItemUpdates(const hc_cf_model& m, const hc_cf_optimiser& o, int64_t users) : o_(o), kernel_(kernels()) {
        const double mean = users ? 1.0 / static_cast<double>(users) : 0.0;
        const int64_t rows = m.scores ? 1 : m.n_levels;
        parts_[0] = {m.w, o.vel_w, rows * m.n_hidden, o.rate_w, o.decay_w, mean};
        parts_[1] = {m.d, o.vel_d, m.n_hidden, o.rate_d, o.decay_d, mean};
        parts_[2] = {m.b_vis, o.vel_vis, m.n_levels, o.rate_vis, o.decay_vis, mean};
    }

    void catch_up(int64_t item, int* nonfinite) const {
        const int64_t missed = o_.step - o_.updates[item];
        if (missed > 0)
            for (const Part& p : parts_) {
                if (!p.parameter) continue;
                const Decay m = power(one_update(p.rate * factor(item), o_.momentum, p.decay), missed);
                const CfApplyArgs a = apply_args(m, p.parameter + item * p.n, p.velocity + item * p.n, p.n, nonfinite);
                kernel_.cf_apply(&a);
            }
        o_.updates[item] = o_.step;
    }

    void update(int64_t item, const float* const grads[3], int* nonfinite) const {
        for (int i = 0; i < 3; ++i) {
            const Part& p = parts_[i];
            if (!p.parameter) continue;
            const double rate = p.rate * factor(item);
            CfApplyArgs a = apply_args(one_update(rate, o_.momentum, p.decay), p.parameter + item * p.n,
                                       p.velocity + item * p.n, p.n, nonfinite);
            a.grad = grads[i];
            a.rate = static_cast<float>(rate * p.mean);
            kernel_.cf_apply(&a);
        }
        o_.updates[item] = o_.step + 1;
    }

   private:
    struct Part {
        float *parameter, *velocity;
        int64_t n;
        double rate, decay, mean;
    };
    double factor(int64_t item) const { return o_.item_rates ? static_cast<double>(o_.item_rates[item]) : 1.0; }
    const hc_cf_optimiser& o_;
    const KernelTable& kernel_;
    Part parts_[3];
};

// The ratings of a minibatch by item, those of an item in the order of the rows.
struct ByItem {
    int64_t n_items;        // that have ratings
    const int32_t* items;   // [n_items], rising
    const int64_t* starts;  // [n_items + 1], into entries
    const CfEntry* entries;

    // First of the items of tile t: tiles have about the same number of ratings.
    int64_t tile_begin(int64_t t) const {
        const int64_t rating = starts[n_items] * t / kItemTiles;
        return t == kItemTiles ? n_items : std::lower_bound(starts, starts + n_items, rating) - starts;
    }
};

ByItem by_item(const hc_cf_ratings& r, int64_t n_items, Workspace& workspace) {
    const int64_t n = r.indptr[r.n_users];
    int64_t* next = workspace.take<int64_t>(n_items + 1);
    int32_t* items = workspace.take<int32_t>(std::min(n, n_items));
    int64_t* starts = workspace.take<int64_t>(std::min(n, n_items) + 1);
    CfEntry* entries = workspace.take<CfEntry>(n);
    std::fill(next, next + n_items + 1, 0);
    for (int64_t i = 0; i < n; ++i) ++next[r.items[i]];
    int64_t found = 0, total = 0;
    for (int64_t item = 0; item < n_items; ++item) {
        const int64_t count = next[item];
        next[item] = total;
        if (!count) continue;
        items[found] = static_cast<int32_t>(item);
        starts[found++] = total;
        total += count;
    }
    starts[found] = total;
    for (int64_t u = 0; u < r.n_users; ++u)
        for (int64_t i = r.indptr[u]; i < r.indptr[u + 1]; ++i) entries[next[r.items[i]]++] = {u, i};
    return {found, items, starts, entries};
}

// What the gradients are made of; see CfItemArgs.
struct Phases {
    const uint8_t* new_levels = nullptr;
    const float* probs = nullptr;
    const float *before = nullptr, *after = nullptr, *pull = nullptr;
};

template <class Args>
Args with_ratings(const hc_cf_update_args& p) {
    Args a{};
    a.struct_size = sizeof a;
    a.model = p.model;
    a.ratings = p.ratings;
    a.threads = p.threads;
    return a;
}

Phases diverge(const hc_cf_update_args& p, Workspace& workspace, double* squared_error) {
    const int64_t units = p.ratings.n_users * p.model.n_hidden, n = p.ratings.indptr[p.ratings.n_users];
    float* before = workspace.take<float>(units);
    float* after = workspace.take<float>(units);
    float* states = workspace.take<float>(units);
    uint8_t* levels = workspace.take<uint8_t>(n);
    auto hidden = with_ratings<hc_cf_hidden_args>(p);
    hidden.seed = p.seed;
    hidden.offset = p.offset;
    hidden.probs = before;
    hidden.states = states;
    cf_hidden(hidden);
    for (int step = 0; step < p.k; ++step) {
        auto visible = with_ratings<hc_cf_visible_args>(p);
        visible.hidden = states;
        visible.seed = p.seed;
        visible.offset = p.offset + 2 * static_cast<uint64_t>(step) + 1;
        visible.levels = levels;
        cf_visible(visible);
        hidden.ratings.levels = levels;
        hidden.offset = visible.offset + 1;
        hidden.probs = after;
        hidden.states = step + 1 < p.k ? states : nullptr;
        cf_hidden(hidden);
    }
    *squared_error = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        const double difference = static_cast<double>(levels[i]) - static_cast<double>(p.ratings.levels[i]);
        *squared_error += difference * difference;
    }
    Phases f;
    f.new_levels = levels;
    f.before = before;
    f.after = after;
    return f;
}

Phases condition(const hc_cf_update_args& p, Workspace& workspace, double* log_conditional) {
    const int64_t units = p.ratings.n_users * p.model.n_hidden, n = p.ratings.indptr[p.ratings.n_users];
    float* x = workspace.take<float>(units);
    float* pull = workspace.take<float>(units);
    float* probs = workspace.take<float>(n * p.model.n_levels);
    auto hidden = with_ratings<hc_cf_hidden_args>(p);
    hidden.x = x;
    cf_hidden(hidden);
    auto conditional = with_ratings<hc_cf_conditional_args>(p);
    conditional.x = x;
    conditional.leave_out = 1;
    conditional.probs = probs;
    cf_conditional(conditional, pull);
    *log_conditional = 0.0;
    for (int64_t i = 0; i < n; ++i)
        *log_conditional += std::log(static_cast<double>(probs[i * p.model.n_levels + p.ratings.levels[i]]));
    Phases f;
    f.before = x;
    f.pull = pull;
    f.probs = probs;
    return f;
}

CfItemArgs item_args(const hc_cf_update_args& p, const Phases& f, const CfModel& model, float* scratch) {
    CfItemArgs a{};
    a.model = model;
    a.levels = p.ratings.levels;
    a.centers = p.ratings.centers;
    a.new_levels = f.new_levels;
    a.probs = f.probs;
    a.before = f.before;
    a.after = f.after;
    a.pull = f.pull;
    const int64_t h = p.model.n_hidden;
    a.scratch = scratch;
    a.grad_d = p.model.d ? scratch + h : nullptr;
    a.grad_w = scratch + 2 * h;
    return a;
}

// Parameters that all machines share, moved by the sum over rows of their gradients.
void update_shared(float* parameter, float* velocity, const float* rows, const float* minus_rows, int64_t n_rows,
                   int64_t n, const hc_cf_optimiser& o, float rate, int64_t users, Workspace& workspace,
                   int* nonfinite) {
    float* grad = workspace.take<float>(n);
    for (int64_t j = 0; j < n; ++j) {
        double sum = 0.0;
        for (int64_t r = 0; r < n_rows; ++r) {
            sum += static_cast<double>(rows[r * n + j]);
            if (minus_rows) sum -= static_cast<double>(minus_rows[r * n + j]);
        }
        grad[j] = static_cast<float>(sum / static_cast<double>(users));
    }
    CfApplyArgs a = apply_args(one_update(rate, o.momentum, 0.0), parameter, velocity, n, nonfinite);
    a.grad = grad;
    a.rate = rate;
    kernels().cf_apply(&a);
}

}  // namespace

hc_cf_stats cf_update(const hc_cf_update_args& p) {
    const KernelTable& kernel = kernels();
    const int64_t h = p.model.n_hidden, n_levels = p.model.n_levels, users = p.ratings.n_users;
    const double n = static_cast<double>(p.ratings.indptr[users]);
    const CfModel model = cf_model(p.model);
    const ItemUpdates updates(p.model, p.optimiser, users);
    Workspace workspace;
    const ByItem lists = by_item(p.ratings, p.model.n_items, workspace);
    int* nonfinite = workspace.take<int>(kItemTiles + 1);
    std::fill(nonfinite, nonfinite + kItemTiles + 1, 0);
    const auto each_item = [&](auto&& f) {
        parallel_for(kItemTiles, p.threads, [&](int64_t tile) {
            for (int64_t i = lists.tile_begin(tile); i < lists.tile_begin(tile + 1); ++i) f(i, tile);
        });
    };
    each_item([&](int64_t i, int64_t tile) { updates.catch_up(lists.items[i], nonfinite + tile); });

    const double nan = std::numeric_limits<double>::quiet_NaN();
    hc_cf_stats stats{nan, nan};
    const bool divergence = p.k > 0;
    const Phases phases = divergence ? diverge(p, workspace, &stats.reconstruction_error)
                                     : condition(p, workspace, &stats.log_conditional);
    stats.reconstruction_error /= n;
    stats.log_conditional /= n;

    const int64_t w_floats = model.n_rows * h;
    float* scratch = workspace.take<float>(kItemTiles * (w_floats + 2 * h));
    float* level_grads = workspace.take<float>(lists.n_items * n_levels);
    each_item([&](int64_t i, int64_t tile) {
        CfItemArgs a = item_args(p, phases, model, scratch + tile * (w_floats + 2 * h));
        a.item = lists.items[i];
        a.entries = lists.entries + lists.starts[i];
        a.n = lists.starts[i + 1] - lists.starts[i];
        a.grad_b = level_grads + i * n_levels;
        std::fill(a.scratch, a.scratch + w_floats + 2 * h, 0.0f);
        std::fill(a.grad_b, a.grad_b + n_levels, 0.0f);
        divergence ? kernel.cf_item_divergence(&a) : kernel.cf_item_conditional(&a);
        const float* grads[3] = {a.grad_w, a.grad_d, a.grad_b};
        updates.update(a.item, grads, nonfinite + tile);
    });

    const hc_cf_optimiser& o = p.optimiser;
    update_shared(p.model.b_level, o.vel_level, level_grads, nullptr, lists.n_items, n_levels, o, o.rate_level, users,
                  workspace, nonfinite + kItemTiles);
    update_shared(p.model.b_hid, o.vel_hid, divergence ? phases.before : phases.pull, phases.after, users, h, o,
                  o.rate_hid, users, workspace, nonfinite + kItemTiles);
    if (std::any_of(nonfinite, nonfinite + kItemTiles + 1, [](int flag) { return flag != 0; }))
        throw Error(HC_DIVERGED, "the update produced NaN or infinite parameters: lower the learning rate");
    return stats;
}

void cf_settle(const hc_cf_settle_args& p) {
    const ItemUpdates updates(p.model, p.optimiser, 0);
    int nonfinite[kItemTiles] = {};
    parallel_for(kItemTiles, p.threads, [&](int64_t tile) {
        for (int64_t i = p.model.n_items * tile / kItemTiles; i < p.model.n_items * (tile + 1) / kItemTiles; ++i)
            updates.catch_up(i, nonfinite + tile);
    });
    if (std::any_of(nonfinite, nonfinite + kItemTiles, [](int flag) { return flag != 0; }))
        throw Error(HC_DIVERGED, "decay produced NaN or infinite parameters: lower the learning rate");
}

}  // namespace hc
