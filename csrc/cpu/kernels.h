// Argument structs of every per-ISA kernel, and the table that dispatch fills. Plain data only: this header is included
// by translation units compiled with ISA flags, so it must not bring in anything that could be instantiated there.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "hintoncore/hintoncore.h"

namespace hc {

// Output units a lookup-product tile covers, at every level.
constexpr int kUnitBlock = 16;
// Inputs whose tables a lookup product holds at a time.
constexpr int kChunkInputs = 60;
// Inputs by which kept weights may be longer than they are.
constexpr int kPanelSlack = 16;
constexpr size_t kLookupScratchBytes = 64 * 1024;

// A chunk's inputs are tabulated in groups of 5. How its rows read the tables, when that is planned ahead:
constexpr int kChunkGroups = 12;
constexpr int kLengths = kChunkGroups + 1;  // of records: 12, 11, .. 0 groups
struct LookupChunk {
    uint64_t used;            // the bits that are set in some row; undefined without records
    const uint64_t* records;  // the rows by their groups that are not zero; null: by all, from the codes
    uint32_t ends[kLengths];  // rows recorded with 12, with at least 11, ... at least 0 groups
};

// Records: two words a row, longest first. A field of 9 bits is a group and its bits; the first word has five of them and
// above those, from bit kRecordRowBit on, the number of the row, the second word seven.
constexpr int kFieldBits = 9, kFirstFields = 5, kRecordRowBit = kFieldBits * kFirstFields;
constexpr int64_t kMaxRecordRows = int64_t{1} << (64 - kRecordRowBit);
struct LookupPlanArgs {
    const uint64_t* codes;  // [n_rows]
    int64_t n_rows;         // at most kMaxRecordRows
    int n_groups;           // of the chunk
    uint64_t* records;      // [n_rows, 2]
    LookupChunk* chunk;     // filled in
};

// Cache lines to ask for between rows, `count` of them, step floats apart: what the caller will read, or write, next.
struct LinesAhead {
    const float* next;
    ptrdiff_t step;
    int64_t count;
    bool write;
};

// out[r, u] (+)= init[u] + sum_i bit(r, i) * weights[i, u]  for one block of at most kUnitBlock output units.
struct BitProductArgs {
    const uint64_t* codes;  // [ceil(n_inputs / kChunkInputs), code_stride]: each row's bits of each chunk of inputs,
    size_t code_stride;     //   from chunk_codes; bits past n_inputs are zero
    const LookupChunk* chunks;  // [ceil(n_inputs / kChunkInputs)]; null: not planned
    int64_t n_rows;
    const float* weights;    // element (input i, unit u) at weights[i * input_stride + u * unit_stride]
    ptrdiff_t input_stride;  // one of the two strides is 1
    ptrdiff_t unit_stride;
    int64_t n_inputs;
    int n_units;    // 1 .. kUnitBlock
    float* panels;  // [n_units rounded up to kUnitBlock, n_inputs + kPanelSlack]: the weights as the kernel wants them,
    int have_panels;    //   written, or read when they are there already; null: not kept. Only for input_stride 1
    const float* init;  // n_units start values (a bias), or null for zero; unused when accumulating
    int accumulate;     // nonzero: add to out
    float* out;         // [n_rows, kUnitBlock], columns past n_units are defined but meaningless
    void* scratch;      // kLookupScratchBytes, 64-byte aligned
    LinesAhead ahead;   // count 0: none
    int* nonfinite;     // set to 1 when a weight read is NaN or infinite; may be null
};

// Bernoulli units from pre-activations: prob = scale * sigmoid(x / T), bit = [uniform < sigmoid(x / T)].
struct SampleRowsArgs {
    const float* x;  // [n_rows, x_stride], x_stride >= n_units rounded up to 16
    ptrdiff_t x_stride;
    int64_t n_rows;
    int64_t first_sample;  // sample index of row 0, a multiple of 64
    uint32_t first_unit;   // unit index of column 0, a multiple of 16
    int n_units;           // with draws: none past the multiple of 64 above first_unit
    float inv_temperature;
    uint64_t seed, offset;
    uint64_t* bits;  // unit u of row r is bit (first_unit + u) % 64 of bits[r * bits_row_step]; null: no draws
    ptrdiff_t bits_row_step;
    float* probs;  // [n_rows, probs_stride], of unit first_unit + u at column u; null: not wanted
    ptrdiff_t probs_stride;
    float prob_scale;
};

// States of any type of unit, as floats, from pre-activations: a tile of rows and of units (or of groups of softmax units).
struct SampleUnitsArgs {
    int type;        // hc_unit_type
    const float* x;  // [n_rows, stride]
    ptrdiff_t stride;
    int64_t n_rows;
    int64_t first_sample;  // sample index of row 0, a multiple of 64
    uint32_t first_unit;   // unit index of column 0, a multiple of 32; softmax: index of the first group
    int64_t n_units;       // columns; softmax: a multiple of group
    int64_t group;         // columns of a softmax group
    const float* std;      // [n_units], Gaussian; null: 1
    uint64_t seed, offset;
    float* states;   // [n_rows, stride]
    float* means;    // [n_rows, stride]; null: not wanted
    float* scratch;  // softmax: unit_scratch_floats(group) floats, 64-byte aligned
};
static inline int64_t unit_scratch_floats(int64_t group) { return 2 * (group + 16) * 16; }

// change[r] = sum over the units of softplus(to * x) - softplus(from * x).
struct SoftplusChangeArgs {
    const float* x;  // [n_rows, x_stride]
    ptrdiff_t x_stride;
    int64_t n_rows;
    int n_units;     // 1 .. kUnitBlock
    float from, to;  // >= 0
    float* change;   // [n_rows]
};

// Sampling thresholds of sites by the states of their neighbours: entry c is how many of the 2^23 values of a draw turn
// the site on when neighbour j is on iff bit j of c is set.
struct GraphTablesArgs {
    int64_t n;
    int planes;            // 4 or 6: neighbours of a site
    const float* bias;     // [n]
    const float* weights;  // [n, planes], absent neighbours 0
    float inv_temperature;
    uint32_t* tables;  // [n, 2^planes], 64-byte aligned
};

// New states of sites no two of which are neighbours, in 64 chains: bit = [uniform < sigmoid(x / T)].
struct GraphSweepArgs {
    int64_t n;
    int planes;                 // 4 or 6: look thresholds up; 0: add the weights up
    const int32_t* sites;       // [n]
    const int32_t* neighbours;  // [n, planes], or neighbours of site i at starts[i] .. starts[i + 1]
    const int64_t* starts;      // [n + 1], planes 0 only, as are weights and bias
    const float* weights;       // like neighbours
    const float* bias;          // [n]
    const uint32_t* tables;     // of graph_tables; planes 4 and 6
    uint64_t* state;            // [sites of the graph + 1]: a bit a chain; the last is 0, for absent neighbours
    const uint64_t* clamp;      // [sites of the graph]: chains that keep the site's state; null: none
    uint64_t live;              // chains there are
    float inv_temperature;
    uint64_t seed, offset;
    uint64_t block;  // sample index of chain 0, divided by 64
};

// States of the low bits that an enumeration keeps in vectors.
constexpr int kLowBits = 6;
constexpr int kLowStates = 1 << kLowBits;

// product[m, s] *= prod over the units i of (1 + high[m, i] * low[i, s]), as product * 2^exponent with product in [1, 2).
struct EnumerateArgs {
    const double* low;   // [n_units, kLowStates]
    const double* high;  // [2, n_units]
    int64_t n_units;
    const int64_t* groups;  // [n_groups + 1], bounds of groups of units whose product stays below 2^1000
    int64_t n_groups;
    double* product;    // [2, kLowStates], in [1, 4) before
    int64_t* exponent;  // [2, kLowStates], added to
};

// Units of a fully connected machine sampled one after the other, in 64 chains: bit = [uniform < sigmoid(x / T)], and the
// pre-activations of those still to come follow.
struct DenseBlockArgs {
    const float* x;         // [64 chains, kUnitBlock]: pre-activations by the states before the block
    int n_units;            // 1 .. kUnitBlock
    const int32_t* units;   // [n_units], the same one several times if need be
    const int32_t* draws;   // [n_units]: the unit number that the draw of each is taken by
    const float* w;         // [kUnitBlock, kUnitBlock]: couplings among them
    uint64_t* state;        // [units of the machine]: a bit a chain
    const uint64_t* clamp;  // like state: chains that keep the unit's state; null: none
    uint64_t live;          // chains there are
    uint64_t* flips;        // [n_units]: chains whose state changed
    float inv_temperature;
    uint64_t seed, offset;
    uint64_t block;  // sample index of chain 0, divided by 64
};

// counts[i, j] += chains in which units i and j are both on, for j <= i; the diagonal counts single units.
struct PairCountsArgs {
    const uint64_t* state;  // [n_words, n_units]: a bit a chain
    int64_t n_words, n_units;
    int64_t* counts;  // [n_units, n_units]
};

// velocity = momentum * velocity + rate * (grad - decay * w); w += velocity, over a tile of rows.
struct CdApplyArgs {
    const float* grad;  // [ceil(n_units / kUnitBlock), panel_rows, kUnitBlock]: bit_product's tiles side by side
    int64_t panel_rows;
    const float* dense_grad;  // [n_rows, w_stride] added to grad; null: none
    int64_t n_rows;
    int64_t n_units;
    float* w;         // [n_rows, w_stride]
    float* velocity;  // same layout; null: momentum 0
    ptrdiff_t w_stride;
    float rate, momentum, decay;
    int* nonfinite;  // set to 1 when a new weight is NaN or infinite
};

// Levels of a rating that the kernels for ratings hold.
constexpr int kCfMaxLevels = 64;

// Parameters of the machine for ratings; see cf-inl.h.
struct CfModel {
    int n_levels, n_hidden, n_rows;  // n_rows: of w for an item, n_levels or with scores 1
    const float* scores;             // [n_levels], or null: a row of w for every level
    const float* w;                  // [n_items, n_rows, n_hidden]
    const float* d;                  // [n_items, n_hidden], or null
    const float* b_vis;              // [n_items, n_levels]
    const float* b_level;            // [n_levels]
    const float* b_hid;              // [n_hidden]
};

// Ratings of one user.
struct CfRatings {
    int64_t n;
    const int32_t* items;
    const uint8_t* levels;
    const float* centers;  // null: 0
    const float* fields;   // with scores; null: 0
};

// Total inputs x of the hidden units of a user, their probabilities and draws; each may be null.
struct CfHiddenArgs {
    CfModel model;
    CfRatings ratings;
    float *x, *probs, *states;  // [n_hidden]
    uint64_t seed, offset, sample;
};

// Levels drawn from p(level | hidden), unit the item; and these probabilities. Either may be null.
struct CfVisibleArgs {
    CfModel model;
    CfRatings ratings;    // levels not read
    const float* hidden;  // [n_hidden]
    uint8_t* levels;      // [n], may be ratings.levels
    float* probs;         // [n, n_levels]
    uint64_t seed, offset, sample;
};

// probs[n, k] = p(level k of item n | the other ratings, which x sums up).
struct CfConditionalArgs {
    CfModel model;
    CfRatings ratings;
    const float* x;  // [n_hidden]
    int leave_out;   // x has the part of each rating, which is to be taken off before its turn
    float* probs;    // [n, n_levels]
    float* pull;     // [n_hidden], added to: derivatives of the log conditionals by x; null: not wanted
    float* scratch;  // [2, n_hidden]
};

struct CfEntry {
    int64_t row, rating;
};

// Gradient of an item's parameters, added to: of k-step contrastive divergence, or of the log conditionals.
struct CfItemArgs {
    CfModel model;
    int32_t item;
    const CfEntry* entries;  // [n]: the item's ratings in the minibatch
    int64_t n;
    const uint8_t* levels;      // by rating
    const float* centers;       // by rating; null: 0
    const uint8_t* new_levels;  // by rating, divergence
    const float* probs;         // by rating, [n_levels], conditional
    const float* before;        // by row, [n_hidden]: p(h | data); conditional: x
    const float* after;         // divergence: p(h | reconstruction)
    const float* pull;          // conditional
    float *grad_w, *grad_d, *grad_b;
    float* scratch;  // [n_hidden]
};

// (w, velocity) = [[ww, wv], [vw, vv]] (w, velocity) + rate * grad to both.
struct CfApplyArgs {
    float *w, *velocity;
    const float* grad;  // null: 0
    int64_t n;
    float ww, wv, vw, vv, rate;
    int* nonfinite;  // set to 1 when a new weight is NaN or infinite
};

// An update of whole rows of weights from a gradient.
struct WeightUpdateArgs {
    int64_t n_rows, n_columns;
    const float* grad;  // [n_rows, n_columns], as w and velocity
    float* w;
    float* velocity;    // null: momentum 0
    const float* left;  // n_terms rows of n_rows, left_stride apart
    ptrdiff_t left_stride;
    const float* right;  // [n_terms, n_columns]
    int n_terms;
    float rate, momentum, l2, l1;
    const float* mu;      // [n_rows]
    const float* lambda;  // [n_columns]
    float* row_sums;      // [n_rows] velocity . lambda
    float* column_sums;   // [n_columns] mu . velocity; null: no sums
    int* nonfinite;       // set to 1 when a new weight is NaN or infinite
};

// 64x64 bit blocks: dst bit (j, i) = src bit (i, j).
struct BitTransposeArgs {
    const uint64_t* src;  // a column of words, src_row_step apart
    ptrdiff_t src_row_step;
    int64_t n_rows;  // rows of src; absent rows of the last block count as zero
    uint64_t* dst;   // word i of row j at dst[j * dst_row_step + i * dst_word_step]
    ptrdiff_t dst_row_step, dst_word_step;
    int n_dst_rows;  // 1 .. 64 rows to write
};

// Dense 0/1 rows to sample-major bits: bit = (x != 0). `other` is set to 1 when a value is neither 0 nor 1, `invalid`
// when a value is outside [0, 1] or NaN.
struct BitPackArgs {
    const float* x;  // [n_rows, x_stride]
    ptrdiff_t x_stride;
    int64_t n_rows, n_cols;
    uint64_t* bits;  // word j of row r at bits[r * row_step + j * word_step], padding zero
    ptrdiff_t row_step, word_step;
    int* other;
    int* invalid;
};

// Sample-major bits to dense 0/1 floats.
struct BitUnpackArgs {
    const uint64_t* bits;  // word j of row r at bits[r * row_step + j * word_step]
    ptrdiff_t row_step, word_step;
    int64_t n_rows, n_cols;
    float* x;  // [n_rows, x_stride]
    ptrdiff_t x_stride;
};

// uniform float32 draws in (0, 1) for samples first .. first + n of one unit; first is a multiple of 64.
struct PhiloxUniformArgs {
    float* out;
    int64_t n;
    int64_t first;
    uint32_t unit;
    uint64_t seed, offset;
};

// Raw Philox4x32-10 blocks, for the published test vectors.
struct PhiloxBlocksArgs {
    const uint32_t* counters;  // [n, 4]
    uint32_t key[2];
    int64_t n;
    uint32_t* out;  // [n, 4]
};

// Where row tile t of `n_tiles` begins: m rows in tiles that differ by at most one row.
static inline int64_t gemm_tile_row(int64_t m, int64_t n_tiles, int64_t t) { return t * m / n_tiles; }

// Rows of op(A) to one packed tile.
struct GemmPackArgs {
    const float* a;  // element (row i, k) at a[i * stride + k], or a[k * stride + i] when transposed
    ptrdiff_t stride;
    int transposed;
    int rows;  // 1 .. gemm_rows
    int64_t kc;
    float* out;  // [kc, rows]
};

// Rows of op(B) to panels of gemm_columns columns.
struct GemmPackPanelsArgs {
    const float* b;  // element (k, column j) at b[k * stride + j], or b[j * stride + k] when transposed
    ptrdiff_t stride;
    int transposed;
    int64_t n, rows;  // columns and rows of op(B) to pack
    float* out;       // panel j at out + j * panel_stride: [rows, gemm_columns], columns past n undefined or zero
    ptrdiff_t panel_stride;
};

// Columns of a matrix, or steps of k, that are neighbours in memory.
struct GemmRun {
    int32_t first, length;
    int64_t offset;  // of the first one
};

// One panel of op(B) that is nowhere stored: element (k, column j) at src[lead[k] + position of j], or with the roles of k
// and j exchanged at src[position of k + lead[j]] when transposed. Runs cover all columns, or all rows, in order.
struct GemmGatherArgs {
    const float* src;
    const int64_t* lead;  // [rows]; transposed: [columns]
    const GemmRun* runs;
    int n_runs;
    int64_t limit;  // offsets of runs below this one are those of floats that may be read, whatever the lead
    int transposed;
    int columns;   // 1 .. gemm_columns
    int64_t rows;  // of op(B)
    float* out;    // [rows, gemm_columns], columns past the last undefined or zero
};

// Weights [n_k, channels, taps] to a packed row tile for each tap: out[tap][k][row] = w[k * stride + row * taps + tap].
struct ConvPackArgs {
    const float* w;
    ptrdiff_t stride;
    int64_t taps;        // floats from a channel to the next
    int64_t begin, end;  // taps to pack
    int rows;            // 1 .. gemm_rows
    int64_t kc;
    float* out;  // [end - begin, kc, rows]
};

// Row tiles tile_begin .. tile_end of C[m, n] (+)= A[m, kc] B[kc, n], and on the last K block
// C = activation(alpha * C + bias).
struct GemmBlockArgs {
    int64_t m, n, kc;
    int64_t n_tiles;  // row tiles in m
    int64_t tile_begin, tile_end;
    const float* a;  // packed tiles, tile t at a + gemm_tile_row(t) * kc
    const float* b;  // packed panels, panel j at b + j * kc * gemm_columns; or, with a single row tile, as it is:
    int b_packed;    // element (k, j) at b[k * b_stride + j], or b[j * b_stride + k] when transposed
    ptrdiff_t b_stride;
    int b_transposed;
    float* scratch;  // without packed panels: kc * gemm_columns floats, 64-byte aligned
    float* c;        // element (i, j) at c[i * c_stride + j], or c[j * c_stride + i] when transposed
    ptrdiff_t c_stride;
    int c_transposed;
    int accumulate;  // add to C
    int finish;      // apply the last line above
    float alpha;
    const float* bias;  // of the columns of C as it lies in memory; null: none
    int activation;     // hc_activation
    // Of a C whose columns are not side by side; with packed panels only.
    const GemmRun* c_runs;  // runs of each panel's columns, one panel after the other; null: they are
    const float* row_bias;  // of the rows of C; null: none
};

// Products C = A B of `count` matrices, B small, K in one block. Element (i, k) of A at a[i * a_row + k * a_column]; (k, j) of B
// at b[k * b_stride + j], or b[j * b_stride + k] when transposed; (i, j) of C at c[i * c_stride + j]; those of the next
// matrix a_next, b_next and c_next further.
struct GemmSmallArgs {
    int64_t count, m, n, k;
    const float* a;
    ptrdiff_t a_row, a_column, a_next;
    const float* b;
    ptrdiff_t b_stride, b_next;
    int b_transposed;
    float* c;
    ptrdiff_t c_stride, c_next;
    // For a transposed B: floats for at least one matrix, its columns rounded up to a whole number of vectors.
    float* scratch;
    int64_t scratch_floats;
    int finish;  // of a single product: C = activation(alpha * C + bias)
    float alpha;
    const float* bias;  // [n]; null: none
    int activation;     // hc_activation
};

// C = activation(alpha * (the n_blocks products of K blocks, added in order) + bias); without `finish` the sum alone.
struct GemmSumArgs {
    const float* blocks;  // [n_blocks][rows, columns], block_stride apart
    int64_t n_blocks, block_stride;
    int64_t rows, columns;  // of C as it lies in memory
    float* c;
    ptrdiff_t c_stride;
    int finish;
    float alpha;
    const float* bias;  // of the columns; null: none
    int activation;     // hc_activation
};

// Steps of a recurrent layer for one tile of the batch: h_t = f(z_t + x_t w_x + bias + h_{t-1} w_h). Absent terms are null.
struct RnnForwardArgs {
    int rows;  // 1 .. gemm_rows
    int64_t n_hidden, n_inputs, n_steps;
    int activation;           // hc_activation
    const float* z;           // [rows, n_hidden] of the first step
    const float* x;           // [rows, n_inputs] of the first step
    ptrdiff_t step, x_step;   // floats from a step to the next: of z and h, of x
    const float *w_x, *bias;  // packed panels of n_inputs rows; [n_hidden]
    const float* w_h;         // packed panels of n_hidden rows
    const float* h0;          // [rows, n_hidden]
    float* state;             // 2 * rnn_state_floats, 64-byte aligned
    float* h;                 // [rows, n_hidden] of the first step
    float* h_last;            // [rows, n_hidden], of the last step
};

// The same backward in time, from the last step of a block to its first: g_t = f'(h_t) (dh_t + g_{t+1} w_h^T).
struct RnnBackwardArgs {
    int rows;  // 1 .. gemm_rows
    int64_t n_hidden, n_steps;
    int activation;       // hc_activation
    const float *h, *dh;  // [rows, n_hidden] of the last step
    int64_t dh_steps;     // how many of the last steps have a dh
    ptrdiff_t step;       // floats from a step to the next: of h, dh and dz
    const float* w_t;     // packed panels of w_h^T, n_hidden rows
    float* state;         // 2 * rnn_state_floats: g of the step after the block, then of its first step
    int have_state;       // 0: there is no step after the block
    float* dz;            // [rows, n_hidden] of the last step: g; null: not wanted
    float* panels;        // g again, in panels of gemm_columns columns: [rows, gemm_columns] of the last step
    ptrdiff_t panel_step, panel_stride;  // floats from a step to the next, from a panel to the next
    float* dh0;                          // [rows, n_hidden]: g of the block's first step, times w_h^T; null: not wanted
};
// Of one state of a tile.
static inline int64_t rnn_state_floats(int rows, int64_t n_hidden, int lanes) {
    return rows * ((n_hidden + lanes - 1) / lanes * lanes);
}

// y[i] = function(x[i]); y may be x.
struct ElementwiseArgs {
    int function;  // hc_function
    const float* x;
    float* y;
    int64_t n;
};

// g = f'(y) * dy, f' written in y = f(x); column_sums[c] = sum over rows of g.
struct ActivationBackwardArgs {
    int activation;   // hc_activation
    const float* y;   // [n_rows, stride]; unused without an activation
    const float* dy;  // [n_rows, stride]
    float* g;         // [n_rows, stride]; unused without an activation: g is dy
    ptrdiff_t stride;
    int64_t n_rows, n_cols;
    float* column_sums;  // [n_cols]
};

// Softmax of rows, with the loss and gradient of cross-entropy when labels or targets are given.
struct SoftmaxRowsArgs {
    int64_t n_rows, n_cols;
    const float* x;         // [n_rows, n_cols]
    const int32_t* labels;  // [n_rows], or null
    const float* targets;   // [n_rows, n_cols], or null; at most one of the two
    float scale;
    float* y;     // [n_rows, n_cols]; may be x; null: not wanted
    float* loss;  // [n_rows]; null: not wanted
};

// Rows normalised to mean 0 and variance 1, times gain, plus shift.
struct LayerNormRowsArgs {
    int64_t n_rows, n_cols;
    const float *x, *gain, *shift;  // [n_rows, n_cols], [n_cols] or null each
    float epsilon;
    float* y;
    float *mean, *inverse_std;  // [n_rows], or null
};

// Its gradients; those of gain and shift summed over these rows.
struct LayerNormBackwardRowsArgs {
    int64_t n_rows, n_cols;
    const float *x, *gain, *mean, *inverse_std, *dy;
    float* dx;              // [n_rows, n_cols], or null
    float *dgain, *dshift;  // [n_cols]
};

// y = x / keep where the uniform draw is below keep, else 0, for at most 64 rows.
struct DropoutRowsArgs {
    const float* x;
    float* y;
    ptrdiff_t stride;
    int64_t n_rows, n_cols;
    int64_t first_sample;  // a multiple of 64
    uint32_t first_unit;
    float keep;
    uint64_t seed, offset;
};

// table[index[i]] += scale * source[i] for i in order[0 .. n), or for i in 0 .. n without an order.
struct ScatterRowsArgs {
    int64_t n, n_cols;
    const int32_t* order;
    const int32_t* index;
    const float* source;
    float scale;
    float* table;
};

// One update of n parameters by an hc_optimiser rule.
struct OptimiserArgs {
    int rule;
    int64_t n;
    float* w;
    const float* grad;
    float *velocity, *square;                                          // state, where the rule has it
    float rate, momentum, velocity_share, square_decay, square_share;  // shares: 1 - momentum and 1 - square_decay
    float square_scale, epsilon, decay, shrink, grad_scale;
    int* nonfinite;  // set to 1 when a new parameter is NaN or infinite
};

struct SumOfSquaresArgs {
    const float* x;
    int64_t n;
    float* sum;
};

// Columns a max_norm_columns tile covers, at every level.
constexpr int kMaxNormColumns = 64;

// Columns of w scaled so that none is longer than the limit.
struct MaxNormColumnsArgs {
    float* w;
    ptrdiff_t stride;
    int64_t n_rows, n_cols;  // at most kMaxNormColumns columns
    float limit;
};

// The ceiling of this level: multiply-adds in registers.
struct FmaPeakArgs {
    int64_t iterations;
    float factor, term;  // sum = sum * factor + term
    float* sink;         // lanes floats
    double* flop;        // operations executed, two a multiply-add
};

struct KernelTable {
    const char* isa;
    int lanes;
    int gemm_rows;  // of a register tile of gemm_block
    int gemm_columns;
    int64_t gemm_block_floats;  // of packed A that a task should own
#define HC_KERNEL(name, Args) void (*name)(const Args*);
#include "kernels.inc"
#undef HC_KERNEL
};

}  // namespace hc
