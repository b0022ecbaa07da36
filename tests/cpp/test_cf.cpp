// The machine for ratings through the C interface, meant to be built with sanitizers: arrays of exactly the size asked for,
// users without ratings, hidden units on both sides of every vector, every ISA level and thread count against another.
#include <cmath>
#include <limits>

#include "check.h"

namespace {

struct Machine {
    int64_t n_items = 0, n_levels = 0, n_hidden = 0;
    Floats scores, w, d, b_vis, b_level, b_hid;

    hc_cf_model model() {
        hc_cf_model m{};
        m.n_items = n_items;
        m.n_levels = n_levels;
        m.n_hidden = n_hidden;
        m.scores = scores.empty() ? nullptr : scores.data();
        m.w = w.data();
        m.d = d.empty() ? nullptr : d.data();
        m.b_vis = b_vis.data();
        m.b_level = b_level.data();
        m.b_hid = b_hid.data();
        return m;
    }
};

struct Rated {
    std::vector<int64_t> indptr{0}, users;
    std::vector<int32_t> items;
    std::vector<uint8_t> levels;
    Floats centers, fields;

    hc_cf_ratings ratings() const {
        hc_cf_ratings r{};
        r.n_users = static_cast<int64_t>(indptr.size()) - 1;
        r.indptr = indptr.data();
        r.items = items.data();
        r.levels = levels.data();
        r.centers = centers.empty() ? nullptr : centers.data();
        r.fields = fields.empty() ? nullptr : fields.data();
        r.users = users.empty() ? nullptr : users.data();
        return r;
    }
};

Machine make_machine(int64_t n_items, int64_t n_levels, int64_t n_hidden, bool scores, bool conditional) {
    Lcg rng(static_cast<uint64_t>(n_items + n_hidden));
    Machine m;
    m.n_items = n_items;
    m.n_levels = n_levels;
    m.n_hidden = n_hidden;
    if (scores)
        for (int64_t k = 0; k < n_levels; ++k) m.scores.push_back(static_cast<float>(k) - 1.0f);
    m.w = integers(rng, n_items * (scores ? 1 : n_levels) * n_hidden);
    if (conditional) m.d = integers(rng, n_items * n_hidden);
    m.b_vis = integers(rng, n_items * n_levels);
    m.b_level = integers(rng, n_levels);
    m.b_hid = integers(rng, n_hidden);
    return m;
}

Rated make_ratings(int64_t n_users, const Machine& m) {
    Lcg rng(static_cast<uint64_t>(n_users));
    Rated r;
    for (int64_t u = 0; u < n_users; ++u) {
        for (int64_t i = 0; i < m.n_items; ++i)
            if (u % 5 != 1 && rng.below(2)) {
                r.items.push_back(static_cast<int32_t>(i));
                r.levels.push_back(static_cast<uint8_t>(rng.below(static_cast<int>(m.n_levels))));
            }
        r.indptr.push_back(static_cast<int64_t>(r.items.size()));
        r.users.push_back(1000 + 3 * u);
    }
    if (!m.scores.empty()) {
        r.centers = integers(rng, static_cast<int64_t>(r.items.size()));
        r.fields = integers(rng, static_cast<int64_t>(r.items.size()));
    }
    return r;
}

struct Velocities {
    Floats w, d, vis, level, hid;
    std::vector<int64_t> updates;

    explicit Velocities(const Machine& m)
        : w(m.w.size()),
          d(m.d.size()),
          vis(m.b_vis.size()),
          level(m.b_level.size()),
          hid(m.b_hid.size()),
          updates(static_cast<size_t>(m.n_items)) {}

    hc_cf_optimiser optimiser(int64_t step) {
        hc_cf_optimiser o{};
        o.rate_w = o.rate_d = o.rate_vis = o.rate_level = o.rate_hid = 0.125f;
        o.decay_w = o.decay_d = o.decay_vis = 0.25f;
        o.momentum = 0.5f;
        o.vel_w = w.data();
        o.vel_d = d.empty() ? nullptr : d.data();
        o.vel_vis = vis.data();
        o.vel_level = level.data();
        o.vel_hid = hid.data();
        o.updates = updates.data();
        o.step = step;
        return o;
    }
};

// The parameters after two updates and what was missed, w first.
Floats learn(Machine m, const Rated& r, int k, int threads) {
    Velocities v(m);
    hc_cf_stats stats{};
    for (int64_t step = 0; step < 2; ++step) {
        hc_cf_update_args a{};
        a.struct_size = sizeof a;
        a.model = m.model();
        a.ratings = r.ratings();
        a.optimiser = v.optimiser(step);
        a.k = k;
        a.seed = 3;
        a.offset = static_cast<uint64_t>(2 * k * step);
        a.threads = threads;
        CHECK_OK(hc_cf_update(&a, &stats));
        CHECK(std::isnan(stats.log_conditional) == (k > 0) && std::isnan(stats.reconstruction_error) == (k == 0));
    }
    hc_cf_settle_args s{};
    s.struct_size = sizeof s;
    s.model = m.model();
    s.optimiser = v.optimiser(5);
    s.threads = threads;
    CHECK_OK(hc_cf_settle(&s));
    for (const int64_t updates : v.updates) CHECK(updates == 5);
    Floats all = m.w;
    for (const Floats* part : {&m.d, &m.b_vis, &m.b_level, &m.b_hid}) all.insert(all.end(), part->begin(), part->end());
    return all;
}

void test_agreement() {
    struct {
        int64_t n_users, n_items, n_hidden;
    } const shapes[] = {{1, 1, 1}, {7, 5, 16}, {30, 12, 17}, {70, 40, 65}};
    for (const auto& [n_users, n_items, n_hidden] : shapes)
        for (const bool scores : {false, true})
            for (const bool conditional : {false, true})
                for (const int k : {0, 1, 2}) {
                    const Machine m = make_machine(n_items, 4, n_hidden, scores, conditional);
                    Rated r = make_ratings(n_users, m);
                    if (r.items.empty()) {
                        r.items = {0};
                        r.levels = {1};
                        r.indptr.back() = 1;
                        if (scores) r.centers = r.fields = {1.0f};
                    }
                    Floats first;
                    for (const std::string& level : levels()) {
                        CHECK_OK(hc_set_isa(level.c_str()));
                        const Floats one = learn(m, r, k, 1);
                        for (const int threads : {2, 3, 8}) CHECK(learn(m, r, k, threads) == one);
                        if (first.empty()) first = one;
                        CHECK(one == first);
                    }
                    CHECK_OK(hc_set_isa(nullptr));
                }
}

void test_conditionals() {
    for (const bool scores : {false, true}) {
        Machine m = make_machine(9, 5, 19, scores, true);
        const Rated r = make_ratings(20, m);
        const size_t units = static_cast<size_t>(20 * m.n_hidden), n = r.items.size();
        Floats x(units), probs(units), states(units), level_probs(n * 5), conditional(n * 5);
        std::vector<uint8_t> drawn(n);
        hc_cf_hidden_args h{};
        h.struct_size = sizeof h;
        h.model = m.model();
        h.ratings = r.ratings();
        h.x = x.data();
        h.probs = probs.data();
        h.states = states.data();
        CHECK_OK(hc_cf_hidden(&h));
        for (const float state : states) CHECK(state == 0.0f || state == 1.0f);
        hc_cf_visible_args v{};
        v.struct_size = sizeof v;
        v.model = m.model();
        v.ratings = r.ratings();
        v.ratings.levels = nullptr;
        v.hidden = states.data();
        v.levels = drawn.data();
        v.probs = level_probs.data();
        CHECK_OK(hc_cf_visible(&v));
        for (const uint8_t level : drawn) CHECK(level < 5);
        hc_cf_conditional_args c{};
        c.struct_size = sizeof c;
        c.model = m.model();
        c.ratings = r.ratings();
        c.x = x.data();
        c.leave_out = 1;
        c.probs = conditional.data();
        CHECK_OK(hc_cf_conditional(&c));
        for (const Floats& p : {level_probs, conditional})
            for (size_t i = 0; i < n; ++i) {
                float sum = 0.0f;
                for (size_t k = 0; k < 5; ++k) sum += p[i * 5 + k];
                CHECK(std::fabs(sum - 1.0f) < 1e-5f);
            }
        x[3] = std::numeric_limits<float>::quiet_NaN();
        CHECK_REFUSED(hc_cf_conditional(&c), "x");
        h.ratings.users = nullptr;
        h.ratings.levels = nullptr;
        CHECK_REFUSED(hc_cf_hidden(&h), "levels");
        h.model.n_levels = 65;
        CHECK_REFUSED(hc_cf_hidden(&h), "n_levels");
    }
}

void test_refusals() {
    Machine m = make_machine(6, 3, 4, false, true);
    const Machine before = m;
    const Rated good = make_ratings(8, m);
    const auto refused = [&](const char* word, auto change) {
        Rated r = good;
        Velocities v(m);
        hc_cf_update_args a{};
        a.struct_size = sizeof a;
        a.model = m.model();
        a.optimiser = v.optimiser(0);
        change(a, r);
        if (!a.ratings.indptr) a.ratings = r.ratings();
        CHECK_REFUSED(hc_cf_update(&a, nullptr), word);
    };
    refused("items", [](auto&, Rated& r) { r.items[0] = 6; });
    refused("levels", [](auto&, Rated& r) { r.levels[0] = 3; });
    refused("indptr", [](auto&, Rated& r) { r.indptr[1] = r.indptr[2] + 1; });
    refused("users", [](auto&, Rated& r) { r.users[0] = -1; });
    refused("centers", [](auto&, Rated& r) { r.centers.resize(r.items.size()); });
    refused("momentum", [](auto& a, Rated&) { a.optimiser.momentum = 1.0f; });
    refused("decays", [](auto& a, Rated&) { a.optimiser.decay_d = -1.0f; });
    refused("vel_d", [](auto& a, Rated&) { a.optimiser.vel_d = nullptr; });
    refused("updates", [](auto& a, Rated&) { a.optimiser.updates[2] = 1; });
    refused("k", [](auto& a, Rated&) { a.k = -1; });
    refused("b_hid", [](auto& a, Rated&) { a.model.b_hid = nullptr; });
    refused("struct_size", [](auto& a, Rated&) { a.struct_size = sizeof a + 1; });
    CHECK(m.w == before.w && m.b_vis == before.b_vis);
}

}  // namespace

int main() {
    test_agreement();
    test_conditionals();
    test_refusals();
    if (g_failures) std::printf("%d checks failed\n", g_failures);
    return g_failures != 0;
}
