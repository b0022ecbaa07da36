#include "cpu/cf.h"

#include <cmath>

#include "capi/border.h"

namespace hc {
namespace {

void require_model(const hc_cf_model& m) {
    require_size(m.n_items, "n_items");
    require_size(m.n_hidden, "n_hidden");
    require(m.n_levels >= 2 && m.n_levels <= kCfMaxLevels, "n_levels: expected a number in 2..64");
    require_elements(m.n_items, m.n_levels * m.n_hidden, "w");
    require_pointer(m.w, "w");
    require_pointer(m.b_vis, "b_vis");
    require_pointer(m.b_level, "b_level");
    require_pointer(m.b_hid, "b_hid");
    if (m.scores) require_finite(m.scores, m.n_levels, "scores");
}

void require_ratings(const hc_cf_model& m, const hc_cf_ratings& r, bool levels) {
    require_size(r.n_users, "n_users");
    require_elements(r.n_users, m.n_hidden, "hidden units of the users");
    require_pointer(r.indptr, "indptr");
    require(r.indptr[0] == 0, "indptr: expected 0 first");
    for (int64_t u = 0; u < r.n_users; ++u) {
        require(r.indptr[u + 1] >= r.indptr[u], "indptr: expected values that never decrease");
        if (r.users)
            require(r.users[u] >= 0 && r.users[u] < int64_t{1} << 34, "users: expected numbers in 0..2^34 - 1");
    }
    const int64_t n = r.indptr[r.n_users];
    require_elements(n, m.n_levels, "ratings");
    if (n) require_pointer(r.items, "items");
    for (int64_t i = 0; i < n; ++i)
        if (r.items[i] < 0 || r.items[i] >= m.n_items)
            invalid("items: expected numbers in 0.." + std::to_string(m.n_items - 1) + ", got " +
                    std::to_string(r.items[i]));
    if (levels && n) {
        require_pointer(r.levels, "levels");
        for (int64_t i = 0; i < n; ++i)
            if (r.levels[i] >= m.n_levels)
                invalid("levels: expected numbers in 0.." + std::to_string(m.n_levels - 1) + ", got " +
                        std::to_string(r.levels[i]));
    }
    require(m.scores || !(r.centers || r.fields), "centers, fields: levels without scores have none");
    if (r.centers) require_finite(r.centers, n, "centers");
    if (r.fields) require_finite(r.fields, n, "fields");
}

void require_rate(float value, const char* name) {
    if (!(value >= 0.0f) || !std::isfinite(value)) invalid(std::string(name) + ": expected a finite number >= 0");
}

void require_optimiser(const hc_cf_model& m, const hc_cf_optimiser& o) {
    for (const float rate : {o.rate_w, o.rate_d, o.rate_vis, o.rate_level, o.rate_hid}) require_rate(rate, "rates");
    for (const float decay : {o.decay_w, o.decay_d, o.decay_vis}) require_rate(decay, "decays");
    require(o.momentum >= 0.0f && o.momentum < 1.0f, "momentum: expected 0 <= momentum < 1");
    require_pointer(o.vel_w, "vel_w");
    if (m.d) require_pointer(o.vel_d, "vel_d");
    require_pointer(o.vel_vis, "vel_vis");
    require_pointer(o.vel_level, "vel_level");
    require_pointer(o.vel_hid, "vel_hid");
    require_pointer(o.updates, "updates");
    require(o.step >= 0, "step: expected a number >= 0");
    for (int64_t i = 0; i < m.n_items; ++i) {
        require(o.updates[i] >= 0 && o.updates[i] <= o.step, "updates: expected numbers in 0..step");
        if (o.item_rates) require_rate(o.item_rates[i], "item_rates");
    }
}

void checked_hidden(const hc_cf_hidden_args& p) {
    require_model(p.model);
    require_ratings(p.model, p.ratings, true);
    require_threads(p.threads);
    cf_hidden(p);
}

void checked_visible(const hc_cf_visible_args& p) {
    require_model(p.model);
    require_ratings(p.model, p.ratings, false);
    require_pointer(p.hidden, "hidden");
    require_finite(p.hidden, p.ratings.n_users * p.model.n_hidden, "hidden");
    require_threads(p.threads);
    cf_visible(p);
}

void checked_conditional(const hc_cf_conditional_args& p) {
    require_model(p.model);
    require_ratings(p.model, p.ratings, p.leave_out != 0);
    require_pointer(p.x, "x");
    require_finite(p.x, p.ratings.n_users * p.model.n_hidden, "x");
    if (p.ratings.indptr[p.ratings.n_users]) require_pointer(p.probs, "probs");
    require_threads(p.threads);
    cf_conditional(p, nullptr);
}

void checked_update(const hc_cf_update_args& p, hc_cf_stats* stats) {
    require_model(p.model);
    require_ratings(p.model, p.ratings, true);
    require(p.ratings.indptr[p.ratings.n_users] > 0, "ratings: expected at least one");
    require_optimiser(p.model, p.optimiser);
    require(p.k >= 0, "k: expected 0 or more");
    require_threads(p.threads);
    const hc_cf_stats result = cf_update(p);
    if (stats) *stats = result;
}

void checked_settle(const hc_cf_settle_args& p) {
    require_model(p.model);
    require_optimiser(p.model, p.optimiser);
    require_threads(p.threads);
    cf_settle(p);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_cf_hidden(const hc_cf_hidden_args* args) {
    return hc::at_border([&] { hc::checked_hidden(hc::read_args(args)); });
}

hc_status hc_cf_visible(const hc_cf_visible_args* args) {
    return hc::at_border([&] { hc::checked_visible(hc::read_args(args)); });
}

hc_status hc_cf_conditional(const hc_cf_conditional_args* args) {
    return hc::at_border([&] { hc::checked_conditional(hc::read_args(args)); });
}

hc_status hc_cf_update(const hc_cf_update_args* args, hc_cf_stats* stats) {
    return hc::at_border([&] { hc::checked_update(hc::read_args(args), stats); });
}

hc_status hc_cf_settle(const hc_cf_settle_args* args) {
    return hc::at_border([&] { hc::checked_settle(hc::read_args(args)); });
}

}  // extern "C"
