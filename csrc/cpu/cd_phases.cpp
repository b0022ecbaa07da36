#include "cpu/cd_phases.h"

#include <algorithm>
#include <limits>
#include <string>

#include "common/status.h"
#include "cpu/bits.h"
#include "cpu/thread_pool.h"

namespace hc {
namespace {

// Unit-major bits with one more row that is always on: its "weights" are the hidden biases, so the statistics product
// gives the hidden-bias gradient too.
void append_bias_unit(uint64_t* unit_major, int64_t n_units, int64_t batch) {
    uint64_t* row = unit_major + n_units * bit_words(batch);
    for (int64_t j = 0; j < bit_words(batch); ++j) {
        const int64_t left = batch - j * 64;
        row[j] = left >= 64 ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
    }
}

// Visible units as rows of samples.
RowPlan unit_plan(const CdProblem& p, const uint64_t* unit_major, int64_t batch, Workspace& workspace) {
    return RowPlan(unit_rows(unit_major, batch), p.n_visible + 1, batch, p.n_hidden, p.n_visible + 1, workspace);
}

CdData prepare(const CdProblem& p, Workspace& workspace) {
    CdData v0;
    const BitRows rows = take_sample_rows(p.batch, p.n_visible, workspace);
    uint64_t* unit_major = workspace.take<uint64_t>((p.n_visible + 1) * bit_words(p.batch));
    if (p.v0_bits) {
        std::copy_n(p.v0_bits, p.n_visible * bit_words(p.batch), unit_major);
    } else {
        const Values values = pack_rows(p.v0_dense, p.batch, p.n_visible, rows, p.threads);
        if (values == Values::other) invalid("v0: expected values in [0, 1], got a value outside it or NaN");
        if (values == Values::unit_interval) {
            v0.dense = p.v0_dense;
            return v0;
        }
        transpose_bits(rows, p.batch, p.n_visible, unit_rows(unit_major, p.batch), p.threads);
    }
    append_bias_unit(unit_major, p.n_visible, p.batch);
    const RowPlan units = unit_plan(p, unit_major, p.batch, workspace);
    if (p.v0_bits)
        parallel_run(BitTransposition{unit_rows(p.v0_bits, p.batch), p.n_visible, p.batch, rows}, units, p.threads);
    else
        parallel_run(units, p.threads);
    v0.rows = rows;
    v0.unit_major = unit_major;
    v0.units = units.rows();
    return v0;
}

double squared_differences(const CdData& v0, BitRows rows, int64_t batch, int64_t n_visible) {
    double sum = 0.0;
    if (v0.rows) {
        for (int64_t j = 0; j < bit_words(n_visible); ++j)
            sum += static_cast<double>(count_differences(v0.rows.column(j), rows.column(j), batch));
        return sum;
    }
    for (int64_t r = 0; r < batch; ++r)
        for (int64_t i = 0; i < n_visible; ++i) {
            const double bit = static_cast<double>(rows.column(i / 64)[r * rows.row_step] >> (i % 64) & 1);
            const double d = static_cast<double>(v0.dense[r * n_visible + i]) - bit;
            sum += d * d;
        }
    return sum;
}

HalfStep to_hidden(const CdProblem& p, const CdParameters& parameters, int64_t n_rows) {
    HalfStep s{};
    s.n_rows = n_rows;
    s.n_in = p.n_visible;
    s.n_out = p.n_hidden;
    s.w = parameters.w;
    s.bias = parameters.b_hid;
    s.seed = p.seed;
    s.threads = p.threads;
    return s;
}

HalfStep to_visible(const CdProblem& p, const CdParameters& parameters, int64_t n_rows) {
    HalfStep s = to_hidden(p, parameters, n_rows);
    s.n_in = p.n_hidden;
    s.n_out = p.n_visible;
    s.transposed = true;
    s.bias = parameters.b_vis;
    return s;
}

// k alternations from the chain's start, ending with its visible states in v_rows. For CD, h_rows holds the first hidden
// sample already and the result is the sum of (v0 - v1)^2; for PCD it is NaN.
double negative_phase(const CdProblem& p, const CdData& v0, BitRows h_rows, BitRows v_rows) {
    const bool persistent = p.chains != nullptr;
    double differences = std::numeric_limits<double>::quiet_NaN();
    if (persistent) transpose_bits(unit_rows(p.chains, p.n_chains), p.n_visible, p.n_chains, v_rows, p.threads);
    Workspace workspace;
    TransposedWeights kept{};
    if (p.k > 1) kept.panels = workspace.take<float>(transposed_floats(p.n_hidden, p.n_visible));
    for (int step = 0; step < p.k; ++step) {
        if (persistent || step > 0) {
            HalfStep h = to_hidden(p, p.negative, p.n_chains);
            h.in_rows = v_rows;
            h.out_rows = h_rows;
            h.offset = p.offset + 2 * static_cast<uint64_t>(step);
            half_step(h);
        }
        HalfStep v = to_visible(p, p.negative, p.n_chains);
        v.kept = p.k > 1 ? &kept : nullptr;
        v.in_rows = h_rows;
        v.out_rows = v_rows;
        v.offset = p.offset + 2 * static_cast<uint64_t>(step) + 1;
        half_step(v);
        if (step == 0 && !persistent) differences = squared_differences(v0, v_rows, p.batch, p.n_visible);
    }
    return differences;
}

}  // namespace

const char* const kBadSums = "expected finite values, got NaN, infinity or values whose sums overflow float32";

CdPhases run_phases(const CdProblem& p, Workspace& workspace) {
    const int64_t V = p.n_visible, H = p.n_hidden, n_chains = p.n_chains;
    CdPhases phases{};

    // Positive phase: p(h | v0) / batch, and for CD the sample that starts the chain.
    const CdData& v0 = phases.v0 = prepare(p, workspace);
    const bool dense = v0.dense != nullptr;
    float* p0 = workspace.take<float>(p.batch * (dense ? H : unit_blocks(H) * kUnitBlock));
    const BitRows h_rows = take_sample_rows(n_chains, H, workspace), v_rows = take_sample_rows(n_chains, V, workspace);
    HalfStep up = to_hidden(p, p.positive, p.batch);
    up.in_rows = v0.rows;
    up.in_dense = v0.dense;
    up.probs = p0;
    up.probs_by_block = !dense;
    up.prob_scale = 1.0f / static_cast<float>(p.batch);
    up.out_rows = p.chains ? BitRows{} : h_rows;
    up.offset = p.offset;
    if (!half_step(up)) invalid(std::string("w: ") + kBadSums);
    phases.p0 = p0;

    phases.differences = negative_phase(p, v0, h_rows, v_rows);

    // Its last half-step, p(h | vk), is negated, so that both phases are one sum.
    HalfStep& last = phases.last = to_hidden(p, p.negative, n_chains);
    last.in_rows = v_rows;
    last.prob_scale = -1.0f / static_cast<float>(n_chains);
    const RowPlan last_rows = row_plan(last, workspace);
    uint64_t* vk = workspace.take<uint64_t>((V + 1) * bit_words(n_chains));
    parallel_run(BitTransposition{v_rows, n_chains, V, unit_rows(vk, n_chains)}, last_rows, p.threads);
    phases.last_rows = last_rows.rows();

    append_bias_unit(vk, V, n_chains);
    phases.vk = vk;
    const RowPlan units = unit_plan(p, vk, n_chains, workspace);
    parallel_run(units, p.threads);
    phases.vk_units = units.rows();
    return phases;
}

}  // namespace hc
