// Gibbs sampling on a sparse graph: the couplings in the order the kernels want them, and the sweeps.
#pragma once

#include <stdint.h>

#include <vector>

namespace hc {

// Symmetric couplings in compressed rows, each row sorted by neighbour.
struct Graph {
    std::vector<int64_t> starts;  // [n + 1]
    std::vector<int32_t> neighbours;
    std::vector<float> weights;
    int64_t n() const { return static_cast<int64_t>(starts.size()) - 1; }
};

// Throws when the rows are no symmetric matrix with an empty diagonal.
Graph read_graph(int64_t n, const int64_t* indptr, const int32_t* indices, const float* weights);

// Colours such that neighbours differ: each site in turn takes the lowest that none of its neighbours has. Returns their number.
int32_t color_greedily(const Graph& graph, int32_t* colors);
// Throws when two neighbours have one colour, or a colour is below 0 or not below n. Returns the highest plus 1.
int32_t check_colors(const Graph& graph, const int32_t* colors);

struct GraphGibbs {
    const Graph* graph;
    const int32_t* colors;
    int32_t n_colors;
    const float* bias;
    bool spin;  // bits stand for -1 and +1
    int64_t batch;
    uint64_t* state;        // [n, bit_words(batch)], updated
    const uint64_t* clamp;  // like state: bits that keep their value; null: none
    int64_t sweeps;
    const float* temperatures;  // [sweeps]
    uint64_t seed, offset;      // sweep s draws with offset + s
    int64_t first_sample;       // a multiple of 64
    int threads;
};
void graph_gibbs(const GraphGibbs& p);

}  // namespace hc
