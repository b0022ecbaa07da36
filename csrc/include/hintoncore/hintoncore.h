/* HintonCore: the C interface.
 *
 * Conventions
 *  - Every function that can fail returns an hc_status; hc_last_error() then gives the message of the calling thread's last
 *    failure. Nothing aborts, nothing throws across this border.
 *  - Arrays are C-contiguous float32 unless said otherwise. Shapes are written [rows, columns].
 *  - Bit matrices are unit-major: `units` rows of hc_bit_words(batch) uint64 words; bit i of word j of row u is sample
 *    64*j + i of unit u. Bits past `batch` are zero, in what you pass and in what you get.
 *  - Randomness: a draw is a pure function of (seed, offset, unit, sample); each half-step of sampling uses one offset.
 *    See Philox4x32-10 in Salmon et al. 2011.
 *  - `threads`: 0 uses hc_get_num_threads(). Results never depend on it.
 *  - Argument structs start with struct_size = sizeof(the struct): later versions may append fields; zero-initialise them.
 *  - All functions may be called from several threads at once.
 */
#ifndef HINTONCORE_H
#define HINTONCORE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define HC_API __declspec(dllexport)
#else
#define HC_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hc_status {
    HC_OK = 0,
    HC_INVALID_ARGUMENT = 1, /* a shape, range or value is wrong; nothing was written unless said otherwise */
    HC_OUT_OF_MEMORY = 2,
    HC_UNSUPPORTED = 3, /* this processor or build cannot do it */
    HC_DIVERGED = 4,    /* an update produced NaN or infinite weights; the weights hold them */
    HC_INTERNAL = 5
} hc_status;

/* ---- the library ---------------------------------------------------------------------------------------------------- */

HC_API const char* hc_version(void);    /* "major.minor.patch" */
HC_API const char* hc_last_error(void); /* of this thread; never NULL; valid until this thread's next failing call */

HC_API hc_status hc_set_num_threads(int threads); /* >= 1; 0: HINTONCORE_NUM_THREADS, else the processors available */
HC_API hc_status hc_get_num_threads(int* threads);

/* Instruction-set levels: "scalar", "avx2", "avx512". The level in use is hc_set_isa's, else HINTONCORE_ISA's, else the
 * highest this processor can run. Asking for more than it can run is HC_UNSUPPORTED. NULL: back to the default. */
HC_API hc_status hc_set_isa(const char* name);
HC_API hc_status hc_get_isa(const char** name);
HC_API int hc_isa_built(const char* name);    /* 1 if compiled in */
HC_API int hc_isa_detected(const char* name); /* 1 if this processor can run it */
/* 1 if the processor has it: "avx512_bf16", "avx512_vnni". Detected and shown; no kernel needs them. */
HC_API int hc_cpu_feature(const char* name);

/* ---- bit matrices --------------------------------------------------------------------------------------------------- */

HC_API int64_t hc_bit_words(int64_t batch); /* 64-bit words of a row */

/* bits[units, words(batch)] = (x[batch, units] != 0). Values must be 0 or 1. */
HC_API hc_status hc_bits_pack(const float* x, int64_t batch, int64_t units, uint64_t* bits, int threads);
HC_API hc_status hc_bits_unpack(const uint64_t* bits, int64_t batch, int64_t units, float* x, int threads);
/* out[batch rows of words(units)] = transpose of bits[units rows of words(batch)]. */
HC_API hc_status hc_bits_transpose(const uint64_t* bits, int64_t batch, int64_t units, uint64_t* out, int threads);

/* ---- random numbers ------------------------------------------------------------------------------------------------- */

/* n raw Philox4x32-10 blocks: counters[n, 4], key[2] -> out[n, 4]. */
HC_API hc_status hc_philox4x32_10(const uint32_t* counters, const uint32_t* key, int64_t n, uint32_t* out);
/* n uniforms in (0, 1), float32, on a grid of 2^-23: the draws of unit 0, samples 0 .. n-1. */
HC_API hc_status hc_uniform(uint64_t seed, uint64_t offset, int64_t n, float* out, int threads);

/* ---- restricted Boltzmann machines ---------------------------------------------------------------------------------- */

/* One Gibbs half-step of Bernoulli units: out ~ Bernoulli(sigmoid((bias + in W) / temperature)). */
typedef struct hc_gibbs_args {
    size_t struct_size;
    int64_t batch, n_visible, n_hidden;
    int transpose;           /* 0: visible -> hidden; 1: hidden -> visible */
    const uint64_t* in_bits; /* [n_in, words(batch)], or NULL */
    const float* in_dense;   /* [batch, n_in], values in [0, 1], or NULL; exactly one of the two */
    const float* w;          /* [n_visible, n_hidden] */
    const float* bias;       /* [n_out] */
    float temperature;       /* > 0 */
    uint64_t seed, offset;
    int64_t first_sample; /* sample index of row 0, a multiple of 64: draws do not change when a batch is split */
    uint64_t* out_bits;   /* [n_out, words(batch)], or NULL */
    float* out_dense;     /* [batch, n_out] sampled 0/1, or NULL */
    float* out_probs;     /* [batch, n_out], or NULL */
    int threads;
} hc_gibbs_args;
HC_API hc_status hc_gibbs_step(const hc_gibbs_args* args);

/* Types of unit, and the conditional distribution of a state given the total input x (bias included). */
typedef enum hc_unit_type {
    HC_UNIT_BERNOULLI = 0,      /* 0 or 1: P(1) = sigmoid(x) */
    HC_UNIT_SPIN = 1,           /* -1 or +1: P(+1) = sigmoid(2 x) */
    HC_UNIT_SOFTMAX = 2,        /* one of a group of columns is 1, the others 0: P(k) = exp(x_k) / sum_j exp(x_j) */
    HC_UNIT_GAUSSIAN = 3,       /* normal with mean x */
    HC_UNIT_NRELU = 4,          /* max(0, normal with mean x and variance sigmoid(x)) (Nair and Hinton 2010) */
    HC_UNIT_STEPPED_SIGMOID = 5 /* 0, 1, 2, ...: the Bernoulli units with inputs x - 1/2, x - 3/2, ... that are on */
} hc_unit_type;

/* states[b, u] drawn from the conditional distribution, and its means. One draw a unit (softmax: a group, whose number is
 * its unit index); Gaussian and NReLU units are drawn in pairs u, u + 16 of each 32 by Box and Muller: the radius from the
 * draw of the first, the angle from that of the second. The mean of NReLU units is softplus(x), that of the stack of
 * sigmoids they stand for. */
typedef struct hc_units_args {
    size_t struct_size;
    int type; /* hc_unit_type */
    int64_t batch, n_units;
    int64_t group;    /* softmax: columns of a group, >= 2, a divisor of n_units; otherwise ignored */
    const float* x;   /* [batch, n_units], finite */
    const float* std; /* [n_units], > 0: standard deviations of Gaussian units; NULL: 1 */
    uint64_t seed, offset;
    int64_t first_sample; /* sample index of row 0, a multiple of 64: draws do not change when a batch is split */
    float* states;        /* [batch, n_units] */
    float* means;         /* [batch, n_units], or NULL */
    int threads;
} hc_units_args;
HC_API hc_status hc_sample_units(const hc_units_args* args);

/* One update by k-step contrastive divergence (Hinton 2002), or by persistent CD (Tieleman 2008) when chains are given. */
typedef struct hc_cd_args {
    size_t struct_size;
    int64_t batch, n_visible, n_hidden;
    const uint64_t* v0_bits; /* [n_visible, words(batch)], or NULL */
    const float* v0_dense;   /* [batch, n_visible], values in [0, 1], or NULL; exactly one of the two */
    float* w;                /* [n_visible, n_hidden], updated */
    float* b_vis;            /* [n_visible], updated */
    float* b_hid;            /* [n_hidden], updated */
    float* vel_w;            /* velocities, updated; all three or none (needed when momentum > 0) */
    float* vel_vis;
    float* vel_hid;
    uint64_t* chains; /* persistent visible states [n_visible, words(n_chains)], advanced; NULL: CD */
    int64_t n_chains;
    int k; /* >= 1 */
    float lr, momentum, weight_decay;
    uint64_t seed, offset; /* uses offsets offset .. offset + 2k - 1 */
    int threads;
} hc_cd_args;
typedef struct hc_cd_stats {
    double reconstruction_error; /* mean of (v0 - v1)^2, v1 the first sampled reconstruction; NaN for PCD */
    double hidden_mean;          /* mean of p(h | v0) */
} hc_cd_stats;
HC_API hc_status hc_cd_update(const hc_cd_args* args, hc_cd_stats* stats /* may be NULL */);

/* The gradient of such an update alone, for learning rules of the caller's own: means over the data and over the end of the
 * negative phase. The negative phase may run under other parameters than the positive one, as with fast weights (Tieleman
 * and Hinton 2009), or end where it begins (k = 0), when the chains are another sampler's. */
typedef struct hc_cd_gradient_args {
    size_t struct_size;
    int64_t batch, n_visible, n_hidden;
    const uint64_t* v0_bits; /* as in hc_cd_args */
    const float* v0_dense;
    const float* w;     /* [n_visible, n_hidden] */
    const float* b_vis; /* [n_visible] */
    const float* b_hid; /* [n_hidden] */
    const float* neg_w; /* parameters of the negative phase; all three, or none: the same */
    const float* neg_b_vis;
    const float* neg_b_hid;
    uint64_t* chains; /* persistent visible states [n_visible, words(n_chains)], advanced; NULL: CD */
    int64_t n_chains;
    int k;                 /* >= 1, or 0 with chains: they are looked at as they are */
    float* grad_w;         /* [n_visible, n_hidden], mean of v0 p(h|v0)^T minus mean of vk p(h|vk)^T */
    float* data_vis;       /* [n_visible], mean of v0 */
    float* data_hid;       /* [n_hidden], mean of p(h|v0) */
    float* model_vis;      /* [n_visible], mean of vk */
    float* model_hid;      /* [n_hidden], mean of p(h|vk) */
    uint64_t seed, offset; /* uses offsets offset .. offset + 2k - 1 */
    int threads;
} hc_cd_gradient_args;
HC_API hc_status hc_cd_gradient(const hc_cd_gradient_args* args, hc_cd_stats* stats /* may be NULL */);

/* Weights updated from a gradient in one pass:
 *   velocity = momentum velocity + lr (grad - sum over t of left_t right_t^T - weight_decay w - l1 sign(w)),  w += velocity
 * and, given offsets mu and lambda, row_sums = velocity lambda and column_sums = mu velocity, by which the biases of a
 * centred machine follow its weights (Melchior, Fischer and Wiskott 2016). */
typedef struct hc_weight_update_args {
    size_t struct_size;
    int64_t n_rows, n_columns;
    float* w;           /* [n_rows, n_columns], updated */
    const float* grad;  /* [n_rows, n_columns] */
    float* velocity;    /* [n_rows, n_columns], updated; NULL only when momentum is 0 */
    const float* left;  /* [n_terms, n_rows] */
    const float* right; /* [n_terms, n_columns] */
    int n_terms;        /* 0 .. 64 */
    float lr, momentum, weight_decay, l1;
    const float* mu;     /* [n_rows]; these four or none */
    const float* lambda; /* [n_columns] */
    float* row_sums;     /* [n_rows], written */
    float* column_sums;  /* [n_columns], written */
    int threads;
} hc_weight_update_args;
HC_API hc_status hc_weight_update(const hc_weight_update_args* args);

/* Sums of outer products added to weights, for delta rules and Hebbian statistics:
 *   w += rate * sum over the batch of x y^T,  b += rate * sum over the batch of y. */
typedef struct hc_outer_args {
    size_t struct_size;
    int64_t batch, n_in, n_out;
    const uint64_t* x_bits; /* [n_in, words(batch)], or NULL */
    const float* x_dense;   /* [batch, n_in], or NULL; exactly one of the two */
    const float* y;         /* [batch, n_out] */
    float* w;               /* [n_in, n_out], updated */
    float* b;               /* [n_out], updated, or NULL */
    float rate;
    int threads;
} hc_outer_args;
HC_API hc_status hc_outer_update(const hc_outer_args* args);

/* Annealed importance sampling between a base-rate model and the RBM (Neal 2001; Salakhutdinov and Murray 2008), many
 * independent chains. At inverse temperature beta the unnormalised distribution is
 *   f(v) = exp(((1 - beta) b_base + beta b_vis) . v) prod_j (1 + exp(beta (b_hid_j + v . w_j)))
 * so that beta = 0 is n_visible independent units with log Z = n_hidden log 2 + sum_i log(1 + exp(b_base_i)), and beta = 1
 * the RBM. For k = 1 .. n_betas - 1 every chain's log weight grows by log f(v) at betas[k] minus log f(v) at betas[k - 1],
 * then its state takes one Gibbs step at betas[k]. Rising betas anneal forward, falling ones backward; a run may be cut
 * into calls at any beta without changing a bit of the result. On an error nothing is written. */
typedef struct hc_ais_args {
    size_t struct_size;
    int64_t n_chains, n_visible, n_hidden;
    const float* w;        /* [n_visible, n_hidden] */
    const float* b_vis;    /* [n_visible] */
    const float* b_hid;    /* [n_hidden] */
    const float* b_base;   /* [n_visible], visible biases of the base-rate model; NULL: b_vis */
    const float* betas;    /* [n_betas], each 0 or in [1e-9, 1] */
    int64_t n_betas;       /* >= 2 */
    uint64_t* states;      /* [n_visible, words(n_chains)], visible states, advanced */
    double* log_weights;   /* [n_chains], added to */
    uint64_t seed, offset; /* uses offsets offset .. offset + 2 (n_betas - 1) - 1 */
    int threads;
} hc_ais_args;
HC_API hc_status hc_ais(const hc_ais_args* args);

/* Exact log partition function in nats, in float64, by enumerating the smaller layer, of at most HC_MAX_EXACT_UNITS units:
 * time proportional to 2^units times the units of the other layer. */
#define HC_MAX_EXACT_UNITS 30
typedef struct hc_exact_args {
    size_t struct_size;
    int64_t n_visible, n_hidden;
    const float* w;     /* [n_visible, n_hidden] */
    const float* b_vis; /* [n_visible] */
    const float* b_hid; /* [n_hidden] */
    int threads;
} hc_exact_args;
HC_API hc_status hc_exact_log_z(const hc_exact_args* args, double* log_z);

/* ---- Boltzmann machines on graphs ----------------------------------------------------------------------------------- */

/* Sweeps of Gibbs sampling of a Boltzmann machine with symmetric couplings on a graph: colour by colour, every site s is
 * drawn from its conditional, P(on) = sigmoid((bias + sum_j w_ij state_j) / temperature). With `spin`, states are -1 and +1
 * (the bit says which), and P(+1) = sigmoid(2 (bias + sum_j w_ij state_j) / temperature). */
typedef struct hc_graph_args {
    size_t struct_size;
    int64_t n_sites, batch;
    const int64_t* indptr; /* [n_sites + 1], from 0 */
    const int32_t*
        indices; /* [indptr[n_sites]]: neighbours of site i at indptr[i] .. indptr[i + 1], in any order, once each,
                                  never i itself */
    const float* weights;  /* like indices; symmetric */
    const float* bias;     /* [n_sites] */
    const int32_t* colors; /* [n_sites], values below n_sites, neighbours differ; NULL: computed, greedily */
    int spin;
    uint64_t* state;           /* [n_sites, words(batch)], updated */
    const uint64_t* clamp;     /* like state: bits that keep their value; NULL: none */
    int64_t sweeps;            /* >= 1 */
    const float* temperatures; /* [sweeps], > 0 */
    uint64_t seed, offset;     /* sweep i uses offset + i */
    int64_t first_sample; /* sample index of chain 0, a multiple of 64: draws do not change when a batch is split */
    int threads;
} hc_graph_args;
HC_API hc_status hc_graph_gibbs(const hc_graph_args* args);

/* The same for a fully connected machine, unit by unit: no two units are updated at once. Units clamped in every chain are
 * passed over. */
typedef struct hc_dense_args {
    size_t struct_size;
    int64_t n_units, batch;
    const float* w;    /* [n_units, n_units], symmetric, zeros on the diagonal */
    const float* bias; /* [n_units] */
    int spin;
    uint64_t* state;           /* [n_units, words(batch)], updated */
    const uint64_t* clamp;     /* like state: bits that keep their value; NULL: none */
    int64_t sweeps;            /* >= 1 */
    const float* temperatures; /* [sweeps], > 0 */
    const int32_t* order;      /* [sweeps, n_units]: a permutation of the units for each sweep; NULL: 0, 1, 2, ... */
    uint64_t seed, offset;     /* sweep i uses offset + i * offset_step */
    uint64_t offset_step;      /* 0 stands for 1 */
    int64_t first_sample;      /* sample index of chain 0, a multiple of 64 */
    int threads;
    int asynchronous;       /* nonzero: a sweep is as many probes of units drawn at random as there are free ones */
    int64_t counted_sweeps; /* of how many last sweeps `pairs` has the sums; in 0 .. sweeps */
    int64_t* pairs;         /* [n_units, n_units], written: times that both units were on; NULL: not wanted */
} hc_dense_args;
HC_API hc_status hc_dense_gibbs(const hc_dense_args* args);

/* ---- restricted Boltzmann machines for ratings ------------------------------------------------------------------------ */

/* A machine for each user, with weights shared by all (Salakhutdinov, Mnih and Hinton 2007): the visible units are the items
 * that the user rated, each a softmax over the levels 0 .. n_levels - 1. Level k of item i acts on the hidden units through
 * the row w[i, k, :], or with scores through (scores[k] - center) w[i, :], a center a rating. */
typedef struct hc_cf_model {
    int64_t n_items, n_levels, n_hidden; /* n_levels in 2 .. 64 */
    const float* scores;                 /* [n_levels], or NULL */
    float* w;                            /* [n_items, n_levels, n_hidden]; with scores [n_items, n_hidden] */
    float* d;       /* [n_items, n_hidden]: what having rated an item adds to the hidden units; NULL: nothing */
    float* b_vis;   /* [n_items, n_levels], added to b_level */
    float* b_level; /* [n_levels] */
    float* b_hid;   /* [n_hidden] */
} hc_cf_model;

/* Ratings in compressed sparse rows. */
typedef struct hc_cf_ratings {
    int64_t n_users;
    const int64_t* indptr; /* [n_users + 1], from 0 */
    const int32_t* items;  /* [indptr[n_users]], those of a user once each */
    const uint8_t* levels; /* like items; NULL where only probabilities are asked for */
    const float* centers;  /* like items; NULL: 0. With scores only, as are fields */
    const float* fields;   /* like items: a rating's total input for level k has scores[k] * field; NULL: 0 */
    const int64_t* users;  /* [n_users], in 0 .. 2^34 - 1: sample index of each user's draws; NULL: 0, 1, 2, ... */
} hc_cf_ratings;

/* x[u, :] = b_hid + sum over the ratings of user u; probs = sigmoid(x); states drawn from them. Each may be NULL. */
typedef struct hc_cf_hidden_args {
    size_t struct_size;
    hc_cf_model model;
    hc_cf_ratings ratings;
    uint64_t seed, offset;
    float* x; /* [n_users, n_hidden], as are probs and states */
    float* probs;
    float* states;
    int threads;
} hc_cf_hidden_args;
HC_API hc_status hc_cf_hidden(const hc_cf_hidden_args* args);

/* Levels drawn from p(level | hidden), unit index the item, and these probabilities. One may be NULL. */
typedef struct hc_cf_visible_args {
    size_t struct_size;
    hc_cf_model model;
    hc_cf_ratings ratings; /* levels are not read */
    const float* hidden;   /* [n_users, n_hidden] */
    uint64_t seed, offset;
    uint8_t* levels; /* [ratings] */
    float* probs;    /* [ratings, n_levels] */
    int threads;
} hc_cf_visible_args;
HC_API hc_status hc_cf_visible(const hc_cf_visible_args* args);

/* probs[n, k]: probability of level k of rating n given ratings of the same user, the hidden units summed out: those that
 * x sums up (hc_cf_hidden), or with leave_out, when x has rating n itself as well, all of them but n. */
typedef struct hc_cf_conditional_args {
    size_t struct_size;
    hc_cf_model model;
    hc_cf_ratings ratings;
    const float* x; /* [n_users, n_hidden] */
    int leave_out;
    float* probs; /* [ratings, n_levels] */
    int threads;
} hc_cf_conditional_args;
HC_API hc_status hc_cf_conditional(const hc_cf_conditional_args* args);

/* How parameters move: velocity = momentum * velocity + rate * (gradient - decay * parameter); parameter += velocity.
 * An update touches the items of its ratings alone. What the others miss (momentum and decay, which are linear) is made up
 * for, exactly, when their turn comes: `updates[i]` counts the updates that item i has had. So rates, momentum and decays
 * may change only after hc_cf_settle. */
typedef struct hc_cf_optimiser {
    float rate_w, rate_d, rate_vis, rate_level, rate_hid;
    float decay_w, decay_d, decay_vis;
    float momentum;
    const float* item_rates; /* [n_items]: factors of the rates of an item's parameters; NULL: 1 */
    float* vel_w;            /* velocities, like the parameters of the model */
    float* vel_d;
    float* vel_vis;
    float* vel_level;
    float* vel_hid;
    int64_t* updates; /* [n_items] */
    int64_t step;     /* updates before this one */
} hc_cf_optimiser;

/* One update on a minibatch of users. k >= 1: k-step contrastive divergence, which uses offsets offset .. offset + 2k - 1
 * as hc_cd_update does. k = 0: the gradient of the pseudo-likelihood, sum over the ratings of log p(rating | the user's
 * other ratings), exact. Gradients are means over the users. */
typedef struct hc_cf_update_args {
    size_t struct_size;
    hc_cf_model model;
    hc_cf_ratings ratings;
    hc_cf_optimiser optimiser;
    int k;
    uint64_t seed, offset;
    int threads;
} hc_cf_update_args;
typedef struct hc_cf_stats {
    double log_conditional; /* k = 0: mean over the ratings of log p(rating | others), before the update; else NaN */
    double reconstruction_error; /* k >= 1: mean of (level - sampled level)^2 after k steps; else NaN */
} hc_cf_stats;
HC_API hc_status hc_cf_update(const hc_cf_update_args* args, hc_cf_stats* stats /* may be NULL */);

/* Makes up for what items have missed, to optimiser.step updates each. */
typedef struct hc_cf_settle_args {
    size_t struct_size;
    hc_cf_model model;
    hc_cf_optimiser optimiser;
    int threads;
} hc_cf_settle_args;
HC_API hc_status hc_cf_settle(const hc_cf_settle_args* args);

/* ---- dense layers --------------------------------------------------------------------------------------------------- */

typedef enum hc_activation {
    HC_ACTIVATION_NONE = 0,
    HC_ACTIVATION_RELU = 1,
    HC_ACTIVATION_SIGMOID = 2,
    HC_ACTIVATION_TANH = 3
} hc_activation;

/* out = activation(alpha * op(a) op(b) + bias). NaN and infinities propagate as IEEE arithmetic has it. Every element is
 * summed over k in an order that depends on k alone. `out` must not overlap an input. */
typedef struct hc_matmul_args {
    size_t struct_size;
    int64_t m, n, k;
    const float* a; /* op(a) [m, k]: stored [m, k], or [k, m] when trans_a */
    int64_t lda;    /* floats from one stored row to the next */
    int trans_a;
    const float* b; /* op(b) [k, n]: stored [k, n], or [n, k] when trans_b */
    int64_t ldb;
    int trans_b;
    float alpha;
    const float* bias; /* [n], added to every row, or NULL */
    int activation;    /* hc_activation */
    float* out;        /* [m, n] */
    int64_t ld_out;
    int threads;
} hc_matmul_args;
HC_API hc_status hc_matmul(const hc_matmul_args* args);

/* out = op(a) op(b) for each matrix of a batch. The batch has any shape; strides, in floats, lead from one of its matrices to
 * the next along each of its dimensions: 0 for an operand that is the same along it, below 0 for one that is read backwards.
 * The row strides of a and b may be anything as well. Each matrix has the bits that hc_matmul gives it. `out` must not
 * overlap an input, nor its matrices one another. */
typedef struct hc_batched_matmul_args {
    size_t struct_size;
    int64_t m, n, k;
    int batch_dims;             /* 0 .. 64 */
    const int64_t* batch_shape; /* [batch_dims] */
    const float* a;             /* op(a) [m, k]: stored [m, k], or [k, m] when trans_a */
    const int64_t* a_strides;   /* [batch_dims] */
    int64_t lda;                /* floats from one stored row to the next */
    int trans_a;
    const float* b; /* op(b) [k, n]: stored [k, n], or [n, k] when trans_b */
    const int64_t* b_strides;
    int64_t ldb;
    int trans_b;
    float* out; /* [m, n] */
    const int64_t* out_strides;
    int64_t ld_out; /* at least n, or at most -n */
    int threads;
} hc_batched_matmul_args;
HC_API hc_status hc_batched_matmul(const hc_batched_matmul_args* args);

/* Gradients of y = activation(x w + bias) from y and the gradient dy that arrives at it; all arrays dense. Outputs must
 * not overlap inputs or each other. A NULL output is not computed. */
typedef struct hc_linear_backward_args {
    size_t struct_size;
    int64_t batch, n_in, n_out;
    const float* x;  /* [batch, n_in] */
    const float* w;  /* [n_in, n_out] */
    const float* y;  /* [batch, n_out]; may be NULL without an activation */
    const float* dy; /* [batch, n_out] */
    int activation;  /* hc_activation */
    float* dx;       /* [batch, n_in], or NULL */
    float* dw;       /* [n_in, n_out], or NULL */
    float* db;       /* [n_out], or NULL */
    int threads;
} hc_linear_backward_args;
HC_API hc_status hc_linear_backward(const hc_linear_backward_args* args);

/* ---- convolution ---------------------------------------------------------------------------------------------------- */

/* Sizes of a two-dimensional convolution (cross-correlation, as in the field). The output has
 * (height + 2 padding_y - kernel_height) / stride_y + 1 rows, rounded down, and columns alike; both at least 1. */
typedef struct hc_conv2d_shape {
    int64_t batch, channels, height, width;
    int64_t out_channels, kernel_height, kernel_width;
    int64_t stride_y, stride_x;   /* >= 1 */
    int64_t padding_y, padding_x; /* >= 0: rows and columns of zeros on each side */
} hc_conv2d_shape;

/* out[n, o, y, x] = activation(bias[o] + sum over c, i, j of
 *                              w[o, c, i, j] input[n, c, y stride_y + i - padding_y, x stride_x + j - padding_x]).
 * The matrix of patches is never stored: beside `out`, memory is at most some 8 MB and a copy of the padded rows that
 * these hold. The order of summation depends on channels and kernel alone. `out` must not overlap an input. */
typedef struct hc_conv2d_args {
    size_t struct_size;
    hc_conv2d_shape shape;
    const float* x;    /* [batch, channels, height, width] */
    const float* w;    /* [out_channels, channels, kernel_height, kernel_width] */
    const float* bias; /* [out_channels], or NULL */
    int activation;    /* hc_activation */
    float* out;        /* [batch, out_channels, out_height, out_width] */
    int threads;
} hc_conv2d_args;
HC_API hc_status hc_conv2d(const hc_conv2d_args* args);

/* Its gradients, from y = out and the gradient dy that arrives at it. Outputs must not overlap inputs or each other. A NULL
 * output is not computed. Memory as above, and with an activation one more array of the size of dy. */
typedef struct hc_conv2d_backward_args {
    size_t struct_size;
    hc_conv2d_shape shape;
    const float* x;
    const float* w;
    const float* y; /* like out; may be NULL without an activation */
    const float* dy;
    int activation; /* hc_activation */
    float* dx;      /* like x, or NULL */
    float* dw;      /* like w, or NULL */
    float* db;      /* [out_channels], or NULL */
    int threads;
} hc_conv2d_backward_args;
HC_API hc_status hc_conv2d_backward(const hc_conv2d_backward_args* args);

/* Maxima over windows of planes: y[n, i, j] = the largest x[n, i stride_y + p, j stride_x + q], p below window_height and q
 * below window_width. There are (height - window_height) / stride_y + 1 rows of windows, rounded down, and columns alike.
 * `index` says where in its plane each was found: the first of equals in row-major order, or the first NaN. */
typedef struct hc_max_pool_args {
    size_t struct_size;
    int64_t planes, height, width; /* a plane has fewer than 2^31 elements */
    int64_t window_height, window_width;
    int64_t stride_y, stride_x; /* >= 1 */
    const float* x;             /* [planes, height, width] */
    float* y;                   /* [planes, rows, columns] */
    int32_t* index;             /* like y; NULL: not wanted */
    int threads;
} hc_max_pool_args;
HC_API hc_status hc_max_pool(const hc_max_pool_args* args);

/* dx = dy added where `index` says, 0 elsewhere. */
typedef struct hc_max_pool_backward_args {
    size_t struct_size;
    int64_t planes, plane, windows; /* elements of a plane of dx and of one of dy */
    const float* dy;                /* [planes, windows] */
    const int32_t* index;           /* [planes, windows], 0 .. plane - 1 */
    float* dx;                      /* [planes, plane] */
    int threads;
} hc_max_pool_backward_args;
HC_API hc_status hc_max_pool_backward(const hc_max_pool_backward_args* args);

/* ---- functions of one variable -------------------------------------------------------------------------------------- */

typedef enum hc_function {
    HC_FUNCTION_EXP = 0,
    HC_FUNCTION_LOG = 1,
    HC_FUNCTION_SIGMOID = 2, /* 1 / (1 + exp(-x)) */
    HC_FUNCTION_TANH = 3,
    HC_FUNCTION_SOFTPLUS = 4 /* log(1 + exp(x)) */
} hc_function;

/* y[i] = f(x[i]), the same bits at every ISA level; y may be x, but not overlap it otherwise. Errors are at most 1 ulp
 * (exp, log), 2 ulp (tanh) and 2.5 ulp (sigmoid, softplus); NaN, infinities and subnormals as in the C library. */
HC_API hc_status hc_elementwise(int function /* hc_function */, const float* x, float* y, int64_t n, int threads);

/* ---- layers and losses of networks trained by gradients ------------------------------------------------------------- */

/* Softmax of rows; with labels or targets t, cross-entropy and its gradient in the same pass:
 * p = softmax(x), loss = sum over the rows of -sum_j t_j log p_j, y = scale * (p * sum_j t_j - t). Without, y = scale * p.
 * Probabilities below exp(-87) are 0. A row with a NaN has NaN for its loss and gradient. */
typedef struct hc_softmax_args {
    size_t struct_size;
    int64_t rows, columns;
    const float* x;        /* [rows, columns] */
    const int32_t* labels; /* [rows], 0 .. columns - 1: t is 1 there and 0 elsewhere; or NULL */
    const float* targets;  /* [rows, columns], or NULL; at most one of the two */
    float scale;
    float* y;     /* [rows, columns]; may be x; NULL: not wanted */
    double* loss; /* one number; NULL: not wanted */
    int threads;
} hc_softmax_args;
HC_API hc_status hc_softmax(const hc_softmax_args* args);

/* Layer normalisation (Ba, Kiros and Hinton 2016): y = gain * (x - mean) / sqrt(variance + epsilon) + shift, mean and
 * biased variance over a row. */
typedef struct hc_layer_norm_args {
    size_t struct_size;
    int64_t rows, columns;
    const float* x;     /* [rows, columns] */
    const float* gain;  /* [columns], or NULL for 1 */
    const float* shift; /* [columns], or NULL for 0 */
    float epsilon;      /* >= 0 */
    float* y;           /* [rows, columns]; may be x */
    float* mean;        /* [rows], or NULL */
    float* inverse_std; /* [rows], 1 / sqrt(variance + epsilon), or NULL */
    int threads;
} hc_layer_norm_args;
HC_API hc_status hc_layer_norm(const hc_layer_norm_args* args);

/* Its gradients, from the input and what the forward pass kept. Outputs share no memory with inputs or each other; a NULL
 * output is not computed. */
typedef struct hc_layer_norm_backward_args {
    size_t struct_size;
    int64_t rows, columns;
    const float* x;           /* [rows, columns] */
    const float* gain;        /* [columns], or NULL for 1 */
    const float* mean;        /* [rows] */
    const float* inverse_std; /* [rows] */
    const float* dy;          /* [rows, columns] */
    float* dx;                /* [rows, columns], or NULL */
    float* dgain;             /* [columns], or NULL */
    float* dshift;            /* [columns], or NULL */
    int threads;
} hc_layer_norm_backward_args;
HC_API hc_status hc_layer_norm_backward(const hc_layer_norm_backward_args* args);

/* Dropout: y = x / keep where the draw of (seed, offset, column, first_sample + row) is below keep = 1 - rate, else 0. The
 * same call on the gradient is the backward pass. */
typedef struct hc_dropout_args {
    size_t struct_size;
    int64_t rows, columns;
    const float* x; /* [rows, columns] */
    float rate;     /* in [0, 1): share of zeros */
    uint64_t seed, offset;
    int64_t first_sample; /* sample index of row 0, a multiple of 64: draws do not change when a batch is split */
    float* y;             /* [rows, columns]; may be x */
    int threads;
} hc_dropout_args;
HC_API hc_status hc_dropout(const hc_dropout_args* args);

/* out[i] = table[index[i]]. */
HC_API hc_status hc_embedding(const float* table /* [rows, columns] */, int64_t rows, int64_t columns,
                              const int32_t* index /* [n], 0 .. rows - 1 */, int64_t n, float* out /* [n, columns] */,
                              int threads);
/* table[index[i]] += scale * source[i], for i = 0, 1, ... in this order. */
HC_API hc_status hc_embedding_add(float* table /* [rows, columns] */, int64_t rows, int64_t columns,
                                  const int32_t* index /* [n], 0 .. rows - 1 */, int64_t n,
                                  const float* source /* [n, columns] */, float scale, int threads);

/* ---- recurrent layers ----------------------------------------------------------------------------------------------- */

/* h_t = activation(z_t + x_t w_x + bias + h_{t-1} w_h) for t = 0 .. steps - 1; absent terms are NULL. Outputs share no
 * memory with inputs or each other. */
typedef struct hc_rnn_args {
    size_t struct_size;
    int64_t steps, batch, hidden;
    int64_t inputs;    /* 0 without x */
    const float* z;    /* [steps, batch, hidden], or NULL */
    const float* x;    /* [steps, batch, inputs], or NULL */
    const float* w_x;  /* [inputs, hidden]; with x */
    const float* bias; /* [hidden], or NULL */
    const float* w_h;  /* [hidden, hidden] */
    const float* h0;   /* [batch, hidden]: h_{-1}; NULL: 0 */
    int activation;    /* hc_activation */
    float* h;          /* [steps, batch, hidden], which the gradients need; NULL: not kept */
    float* h_last;     /* [batch, hidden], of the last step; NULL: not wanted */
    int threads;
} hc_rnn_args;
HC_API hc_status hc_rnn(const hc_rnn_args* args);

/* Its exact gradients by backpropagation through all steps, from h and the gradient that arrives at it. A NULL output is
 * not computed. Sums over steps and batch have an order of their own, the same for any number of threads. */
typedef struct hc_rnn_backward_args {
    size_t struct_size;
    int64_t steps, batch, hidden;
    int64_t inputs;       /* 0 without x */
    const float* h;       /* [steps, batch, hidden], as hc_rnn returned it */
    const float* x;       /* [steps, batch, inputs], or NULL */
    const float* w_h;     /* [hidden, hidden] */
    const float* h0;      /* [batch, hidden], or NULL */
    int activation;       /* hc_activation */
    const float* dh;      /* [steps, batch, hidden]; or NULL, and */
    const float* dh_last; /* [batch, hidden]: only the last step's state has a gradient from outside */
    float* dz;            /* [steps, batch, hidden], or NULL */
    float* dw_h;          /* [hidden, hidden], or NULL */
    float* dh0;           /* [batch, hidden], or NULL */
    float* dw_x;          /* [inputs, hidden], or NULL */
    float* db;            /* [hidden], or NULL */
    int threads;
} hc_rnn_backward_args;
HC_API hc_status hc_rnn_backward(const hc_rnn_backward_args* args);

/* ---- optimisers ----------------------------------------------------------------------------------------------------- */

typedef enum hc_optimiser_rule {
    HC_OPTIMISER_SGD = 0,
    HC_OPTIMISER_MOMENTUM = 1, /* velocity = momentum velocity - lr g; w += velocity */
    HC_OPTIMISER_NESTEROV = 2, /* velocity = momentum velocity - lr g; w += momentum velocity - lr g */
    HC_OPTIMISER_RMSPROP = 3,  /* square = d square + (1 - d) g^2; as SGD or, with a velocity, as momentum, with
                                 g / (sqrt(square) + epsilon) for g */
    HC_OPTIMISER_ADAM = 4      /* velocity = momentum velocity + (1 - momentum) g, square likewise by square_decay;
                                 w -= lr * velocity' / (sqrt(square') + epsilon), both corrected for their start at 0 */
} hc_optimiser_rule;

/* One update of n parameters in one pass, with g = grad_scale * grad + weight_decay * w. With `decoupled`, the decay is not
 * part of g; w is multiplied by 1 - lr * weight_decay instead (AdamW). HC_DIVERGED when a parameter became NaN or infinite. */
typedef struct hc_optimiser_args {
    size_t struct_size;
    int rule; /* hc_optimiser_rule */
    int64_t n;
    float* w;            /* [n], updated */
    const float* grad;   /* [n] */
    float* velocity;     /* [n], updated; momentum, Nesterov and Adam need it, RMSprop may have it, SGD has none */
    float* square;       /* [n], updated; RMSprop and Adam */
    float lr;            /* >= 0 */
    double momentum;     /* in [0, 1); double, because 1 - it counts */
    double square_decay; /* in [0, 1) */
    float epsilon;       /* > 0 where there is a square */
    float weight_decay;  /* >= 0 */
    int decoupled;
    float grad_scale; /* finite: for clipping, or for averaging sums */
    int64_t step;     /* Adam: number of this update, from 1 */
    int threads;
} hc_optimiser_args;
HC_API hc_status hc_optimiser_step(const hc_optimiser_args* args);

/* Sum of x_i^2, for the norm of a gradient. */
HC_API hc_status hc_sum_of_squares(const float* x, int64_t n, double* sum, int threads);
/* Columns of w[rows, columns] longer than `limit` > 0 are scaled to that length: the max-norm constraint on the incoming
 * weights of each unit. */
HC_API hc_status hc_max_norm(float* w, int64_t rows, int64_t columns, float limit, int threads);

/* ---- the machine's ceilings, for benchmarks ------------------------------------------------------------------------- */

/* Multiply-adds in registers at an ISA level, on the calling thread, two operations a multiply-add. */
HC_API hc_status hc_bench_fma_peak(const char* isa, int64_t iterations, double* flop_per_second);
/* Copies n_bytes `iterations` times on the calling thread; bytes read plus bytes written. */
HC_API hc_status hc_bench_copy(int64_t n_bytes, int64_t iterations, double* bytes_per_second);

#ifdef __cplusplus
}
#endif
#endif /* HINTONCORE_H */
