#include "cpu/graph.h"

#include <vector>

#include "capi/border.h"
#include "cpu/bits.h"
#include "cpu/dense.h"

namespace hc {
namespace {

void require_temperatures(int64_t sweeps, const float* temperatures) {
    require(sweeps >= 1 && sweeps <= INT32_MAX, "sweeps: expected a number in 1..2147483647");
    require_pointer(temperatures, "temperatures");
    for (int64_t i = 0; i < sweeps; ++i)
        require(temperatures[i] > 0.0f && std::isfinite(temperatures[i]),
                "temperature: expected finite values above 0");
}

void require_first_sample(int64_t first_sample, int64_t batch) {
    require(first_sample >= 0 && first_sample % 64 == 0 && first_sample <= (int64_t{1} << 34) - batch,
            "first_sample: expected a multiple of 64 in 0..2^34 - batch");
}

void require_clear_tail(const uint64_t* bits, int64_t units, int64_t batch, const char* name) {
    if (batch % 64 == 0) return;
    const int64_t words = bit_words(batch);
    for (int64_t i = 0; i < units; ++i)
        if (bits[i * words + words - 1] >> batch % 64)
            invalid(std::string(name) + ": bits past the batch must be zero");
}

void checked_graph_gibbs(const hc_graph_args& p) {
    require_size(p.n_sites, "n_sites");
    require_size(p.batch, "batch");
    require_elements(p.n_sites, p.batch, "state");
    require_pointer(p.indptr, "indptr");
    if (p.indptr[p.n_sites] != 0) {
        require_pointer(p.indices, "indices");
        require_pointer(p.weights, "weights");
    }
    require_pointer(p.bias, "bias");
    require_pointer(p.state, "state");
    require_temperatures(p.sweeps, p.temperatures);
    require_first_sample(p.first_sample, p.batch);
    require_threads(p.threads);
    require_finite(p.bias, p.n_sites, "bias");
    require_clear_tail(p.state, p.n_sites, p.batch, "state");
    const Graph graph = read_graph(p.n_sites, p.indptr, p.indices, p.weights);
    std::vector<int32_t> colors;
    GraphGibbs g{};
    g.graph = &graph;
    g.colors = p.colors;
    if (p.colors) {
        g.n_colors = check_colors(graph, p.colors);
    } else {
        colors.resize(static_cast<size_t>(p.n_sites));
        g.n_colors = color_greedily(graph, colors.data());
        g.colors = colors.data();
    }
    g.bias = p.bias;
    g.spin = p.spin != 0;
    g.batch = p.batch;
    g.state = p.state;
    g.clamp = p.clamp;
    g.sweeps = p.sweeps;
    g.temperatures = p.temperatures;
    g.seed = p.seed;
    g.offset = p.offset;
    g.first_sample = p.first_sample;
    g.threads = p.threads;
    graph_gibbs(g);
}

void require_permutations(const int32_t* order, int64_t sweeps, int64_t n) {
    if (sweeps > (int64_t{1} << 46) / n) invalid("order: too large");
    std::vector<int64_t> seen(static_cast<size_t>(n), -1);
    for (int64_t sweep = 0; sweep < sweeps; ++sweep)
        for (int64_t i = 0; i < n; ++i) {
            const int32_t unit = order[sweep * n + i];
            if (unit < 0 || unit >= n || seen[unit] == sweep)
                invalid("order: expected a permutation of the units for each sweep");
            seen[unit] = sweep;
        }
}

void checked_dense_gibbs(const hc_dense_args& p) {
    require_size(p.n_units, "n_units");
    require_size(p.batch, "batch");
    require_elements(p.n_units, p.n_units, "w");
    require_elements(p.n_units, p.batch, "state");
    require_pointer(p.w, "w");
    require_pointer(p.bias, "bias");
    require_pointer(p.state, "state");
    require_temperatures(p.sweeps, p.temperatures);
    require_first_sample(p.first_sample, p.batch);
    require_threads(p.threads);
    require_finite(p.bias, p.n_units, "bias");
    require_clear_tail(p.state, p.n_units, p.batch, "state");
    require(!(p.order && p.asynchronous), "order: an asynchronous sweep draws its own");
    if (p.order) require_permutations(p.order, p.sweeps, p.n_units);
    require(p.counted_sweeps >= 0 && p.counted_sweeps <= p.sweeps, "counted_sweeps: expected a number in 0..sweeps");
    check_couplings(p.w, p.n_units, p.threads);
    DenseGibbs d{};
    d.n_units = p.n_units;
    d.batch = p.batch;
    d.w = p.w;
    d.bias = p.bias;
    d.spin = p.spin != 0;
    d.state = p.state;
    d.clamp = p.clamp;
    d.sweeps = p.sweeps;
    d.temperatures = p.temperatures;
    d.order = p.order;
    d.seed = p.seed;
    d.offset = p.offset;
    d.offset_step = p.offset_step ? p.offset_step : 1;
    d.first_sample = p.first_sample;
    d.asynchronous = p.asynchronous != 0;
    d.counted_sweeps = p.counted_sweeps;
    d.pairs = p.pairs;
    d.threads = p.threads;
    dense_gibbs(d);
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_graph_gibbs(const hc_graph_args* args) {
    return hc::at_border([&] { hc::checked_graph_gibbs(hc::read_args(args)); });
}

hc_status hc_dense_gibbs(const hc_dense_args* args) {
    return hc::at_border([&] { hc::checked_dense_gibbs(hc::read_args(args)); });
}

}  // extern "C"
