#include "cpu/graph.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

namespace hc {
namespace {

// Sites a tile covers when the sites of a colour are shared out: some microseconds of work.
constexpr int64_t kSitesPerTile = 256;

// Sites of one colour that the kernels treat alike; `first` counts in the order of the runs.
struct Run {
    int64_t first, n;
    int planes;
    int64_t first_table;  // of its tables, in entries
    int32_t color;
};

// The sites that move, by colour and then by number of neighbours, with what the kernels read of each.
struct Plan {
    std::vector<Run> runs;
    std::vector<int32_t> sites;
    std::vector<float> bias;
    std::vector<int64_t> starts;  // into neighbours and weights, which are padded in runs with tables
    std::vector<int32_t> neighbours;
    std::vector<float> weights;
    int64_t table_entries = 0;
};

int planes_for(int64_t degree) {
    for (const int planes : {4, 6})
        if (degree <= planes) return planes;
    return 0;
}

bool all_clamped(const GraphGibbs& p, int64_t site) {
    const int64_t words = bit_words(p.batch);
    for (int64_t w = 0; w < words; ++w) {
        const uint64_t live = w + 1 < words || p.batch % 64 == 0 ? ~uint64_t{0} : (uint64_t{1} << p.batch % 64) - 1;
        if (~p.clamp[site * words + w] & live) return false;
    }
    return true;
}

Plan make_plan(const GraphGibbs& p) {
    const Graph& g = *p.graph;
    const int64_t n = g.n();
    const auto planes_of = [&](int64_t i) { return planes_for(g.starts[i + 1] - g.starts[i]); };
    // Three kinds of site a colour: a counting sort by (colour, kind), stable in the site.
    const auto key_of = [&](int64_t i) {
        const int planes = planes_of(i);
        return static_cast<int64_t>(p.colors[i]) * 3 + (planes == 4 ? 0 : planes == 6 ? 1 : 2);
    };
    std::vector<int64_t> count(static_cast<size_t>(p.n_colors) * 3 + 1);
    std::vector<char> moves(static_cast<size_t>(n), 1);
    for (int64_t i = 0; i < n; ++i) {
        if (p.clamp && all_clamped(p, i)) moves[i] = 0;
        count[key_of(i) + 1] += moves[i];
    }
    for (size_t k = 1; k < count.size(); ++k) count[k] += count[k - 1];
    Plan plan;
    for (size_t k = 0; k + 1 < count.size(); ++k) {
        const int planes = k % 3 == 0 ? 4 : k % 3 == 1 ? 6 : 0;
        const int64_t members = count[k + 1] - count[k];
        if (!members) continue;
        plan.runs.push_back({count[k], members, planes, plan.table_entries, static_cast<int32_t>(k / 3)});
        if (planes) plan.table_entries += members << planes;
    }
    plan.sites.resize(static_cast<size_t>(count.back()));
    for (int64_t i = 0; i < n; ++i)
        if (moves[i]) plan.sites[count[key_of(i)]++] = static_cast<int32_t>(i);

    plan.starts.reserve(plan.sites.size() + 1);
    plan.bias.reserve(plan.sites.size());
    plan.neighbours.reserve(g.neighbours.size() + 6 * plan.sites.size());
    plan.weights.reserve(g.neighbours.size() + 6 * plan.sites.size());
    plan.starts.push_back(0);
    for (const int32_t i : plan.sites) {
        const int planes = planes_of(i);
        double sum = 0.0;
        for (int64_t j = g.starts[i]; j < g.starts[i + 1]; ++j) {
            plan.neighbours.push_back(g.neighbours[j]);
            // s = 2 b - 1: the field 2 (bias + sum w s) of a spin is 2 (bias - sum w) + sum 4 w b of bits.
            plan.weights.push_back(p.spin ? 4.0f * g.weights[j] : g.weights[j]);
            sum += g.weights[j];
        }
        for (int64_t j = g.starts[i + 1] - g.starts[i]; j < planes; ++j) {
            plan.neighbours.push_back(static_cast<int32_t>(n));
            plan.weights.push_back(0.0f);
        }
        plan.starts.push_back(static_cast<int64_t>(plan.neighbours.size()));
        plan.bias.push_back(p.spin ? static_cast<float>(2.0 * (p.bias[i] - sum)) : p.bias[i]);
    }
    return plan;
}

void make_tables(const Plan& plan, float temperature, uint32_t* tables, int threads) {
    const KernelTable& kernel = kernels();
    for (const Run& run : plan.runs) {
        if (!run.planes) continue;
        parallel_for((run.n + kSitesPerTile - 1) / kSitesPerTile, threads, [&](int64_t tile) {
            const int64_t begin = tile * kSitesPerTile, at = run.first + begin;
            GraphTablesArgs a{};
            a.n = std::min(kSitesPerTile, run.n - begin);
            a.planes = run.planes;
            a.bias = plan.bias.data() + at;
            a.weights = plan.weights.data() + plan.starts[at];
            a.inv_temperature = 1.0f / temperature;
            a.tables = tables + run.first_table + (begin << run.planes);
            kernel.graph_tables(&a);
        });
    }
}

GraphSweepArgs sweep_args(const GraphGibbs& p, const Plan& plan, const Run& run, const uint32_t* tables, int64_t begin,
                          int64_t n, int64_t sweep) {
    const int64_t at = run.first + begin;
    GraphSweepArgs a{};
    a.n = n;
    a.planes = run.planes;
    a.sites = plan.sites.data() + at;
    a.starts = plan.starts.data() + at;
    a.neighbours = plan.neighbours.data() + (run.planes ? plan.starts[at] : 0);
    a.weights = plan.weights.data();
    a.bias = plan.bias.data() + at;
    a.tables = run.planes ? tables + run.first_table + (begin << run.planes) : nullptr;
    a.inv_temperature = 1.0f / p.temperatures[sweep];
    a.seed = p.seed;
    a.offset = p.offset + static_cast<uint64_t>(sweep);
    return a;
}

// Words of 64 chains apart, each with the states of all sites side by side and a zero after them.
struct Columns {
    int64_t n_sites, words, batch;
    uint64_t* state;
    uint64_t* clamp;

    void point(GraphSweepArgs* a, int64_t word, int64_t first_sample) const {
        a->state = state + word * (n_sites + 1);
        a->clamp = clamp ? clamp + word * n_sites : nullptr;
        a->live = word + 1 < words || batch % 64 == 0 ? ~uint64_t{0} : (uint64_t{1} << batch % 64) - 1;
        a->block = static_cast<uint64_t>(first_sample / 64 + word);
    }
};

}  // namespace

Graph read_graph(int64_t n, const int64_t* indptr, const int32_t* indices, const float* weights) {
    if (indptr[0] != 0) invalid("indptr: expected 0 first, got " + std::to_string(indptr[0]));
    bool sorted = true;
    for (int64_t i = 0; i < n; ++i)
        if (indptr[i + 1] < indptr[i] || indptr[i + 1] > indptr[n])
            invalid("indptr: expected values that never decrease, row " + std::to_string(i) + " does");
    float poison = 0.0f;
    for (int64_t i = 0; i < n; ++i)
        for (int64_t e = indptr[i]; e < indptr[i + 1]; ++e) {
            if (indices[e] < 0 || indices[e] >= n)
                invalid("indices: expected sites in 0.." + std::to_string(n - 1) + ", got " +
                        std::to_string(indices[e]));
            if (indices[e] == i)
                invalid("indices: expected no couplings of a site with itself, site " + std::to_string(i) + " has one");
            poison += weights[e] * 0.0f;
            sorted &= e == indptr[i] || indices[e] > indices[e - 1];
        }
    if (poison != 0.0f) invalid("weights: expected finite values, got NaN or infinity");
    Graph g;
    g.starts.assign(indptr, indptr + n + 1);
    g.neighbours.assign(indices, indices + indptr[n]);
    g.weights.assign(weights, weights + indptr[n]);
    if (!sorted) {
        std::vector<std::pair<int32_t, float>> row;
        for (int64_t i = 0; i < n; ++i) {
            row.clear();
            for (int64_t e = indptr[i]; e < indptr[i + 1]; ++e) row.emplace_back(indices[e], weights[e]);
            std::sort(row.begin(), row.end());
            for (size_t k = 0; k < row.size(); ++k) {
                if (k && row[k].first == row[k - 1].first)
                    invalid("indices: expected each coupling once, (" + std::to_string(i) + ", " +
                            std::to_string(row[k].first) + ") is there twice");
                g.neighbours[indptr[i] + k] = row[k].first;
                g.weights[indptr[i] + k] = row[k].second;
            }
        }
    }
    // Rows are sorted: the entries (i, j) of column j come up in the order of row j.
    std::vector<int64_t> next(indptr, indptr + n);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t e = indptr[i]; e < indptr[i + 1]; ++e) {
            const int32_t j = g.neighbours[e];
            const int64_t twin = next[j]++;
            if (twin >= indptr[j + 1] || g.neighbours[twin] != i)
                invalid("indices: expected symmetric couplings, one of (" + std::to_string(i) + ", " +
                        std::to_string(j) + ") and its mirror image is missing");
            if (g.weights[twin] != g.weights[e])
                invalid("weights: expected symmetric couplings, (" + std::to_string(i) + ", " + std::to_string(j) +
                        ") and its mirror image differ");
        }
    return g;
}

int32_t color_greedily(const Graph& graph, int32_t* colors) {
    const int64_t n = graph.n();
    std::vector<int64_t> taken_by(1, -1);  // the last site with a neighbour of this colour
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t e = graph.starts[i]; e < graph.starts[i + 1]; ++e)
            if (graph.neighbours[e] < i) taken_by[colors[graph.neighbours[e]]] = i;
        size_t color = 0;
        while (color < taken_by.size() && taken_by[color] == i) ++color;
        if (color == taken_by.size()) taken_by.push_back(-1);
        colors[i] = static_cast<int32_t>(color);
    }
    return static_cast<int32_t>(taken_by.size());
}

int32_t check_colors(const Graph& graph, const int32_t* colors) {
    int32_t highest = 0;
    for (int64_t i = 0; i < graph.n(); ++i) {
        if (colors[i] < 0 || colors[i] >= graph.n())
            invalid("colors: expected values in 0.." + std::to_string(graph.n() - 1) + ", got " +
                    std::to_string(colors[i]));
        highest = std::max(highest, colors[i]);
        for (int64_t e = graph.starts[i]; e < graph.starts[i + 1]; ++e)
            if (colors[i] == colors[graph.neighbours[e]])
                invalid("colors: expected neighbours to differ, sites " + std::to_string(i) + " and " +
                        std::to_string(graph.neighbours[e]) + " are both of colour " + std::to_string(colors[i]));
    }
    return highest + 1;
}

void graph_gibbs(const GraphGibbs& p) {
    const KernelTable& kernel = kernels();
    const Plan plan = make_plan(p);
    const int threads = p.threads ? p.threads : max_threads();
    Workspace workspace;
    Columns columns{p.graph->n(), bit_words(p.batch), p.batch, nullptr, nullptr};
    columns.state = workspace.take<uint64_t>(columns.words * (columns.n_sites + 1));
    if (p.clamp) columns.clamp = workspace.take<uint64_t>(columns.words * columns.n_sites);
    for (int64_t w = 0; w < columns.words; ++w) {
        uint64_t* state = columns.state + w * (columns.n_sites + 1);
        state[columns.n_sites] = 0;
        for (int64_t i = 0; i < columns.n_sites; ++i) state[i] = p.state[i * columns.words + w];
        for (int64_t i = 0; p.clamp && i < columns.n_sites; ++i)
            columns.clamp[w * columns.n_sites + i] = p.clamp[i * columns.words + w];
    }
    uint32_t* tables = workspace.take<uint32_t>(plan.table_entries);

    for (int64_t first = 0, last; first < p.sweeps; first = last) {
        last = first + 1;
        while (last < p.sweeps && p.temperatures[last] == p.temperatures[first]) ++last;
        make_tables(plan, p.temperatures[first], tables, p.threads);
        if (columns.words >= threads) {  // chains do not meet: a tile runs all the sweeps of its own
            parallel_for(columns.words, p.threads, [&](int64_t word) {
                for (int64_t sweep = first; sweep < last; ++sweep)
                    for (const Run& run : plan.runs) {
                        GraphSweepArgs a = sweep_args(p, plan, run, tables, 0, run.n, sweep);
                        columns.point(&a, word, p.first_sample);
                        kernel.graph_sweep(&a);
                    }
            });
            continue;
        }
        for (int64_t sweep = first; sweep < last; ++sweep)
            for (const Run& run : plan.runs) {
                const int64_t tiles = (run.n + kSitesPerTile - 1) / kSitesPerTile;
                parallel_for(tiles * columns.words, p.threads, [&](int64_t tile) {
                    const int64_t begin = tile % tiles * kSitesPerTile;
                    GraphSweepArgs a =
                        sweep_args(p, plan, run, tables, begin, std::min(kSitesPerTile, run.n - begin), sweep);
                    columns.point(&a, tile / tiles, p.first_sample);
                    kernel.graph_sweep(&a);
                });
            }
    }
    for (int64_t w = 0; w < columns.words; ++w)
        for (int64_t i = 0; i < columns.n_sites; ++i)
            p.state[i * columns.words + w] = columns.state[w * (columns.n_sites + 1) + i];
}

}  // namespace hc
