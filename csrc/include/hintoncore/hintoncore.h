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
    HC_UNIT_BERNOULLI = 0, /* 0 or 1: P(1) = sigmoid(x) */
    HC_UNIT_SPIN = 1,      /* -1 or +1: P(+1) = sigmoid(2 x) */
    HC_UNIT_SOFTMAX = 2,   /* one of a group of columns is 1, the others 0: P(k) = exp(x_k) / sum_j exp(x_j) */
    HC_UNIT_GAUSSIAN = 3,  /* normal with mean x */
    HC_UNIT_NRELU = 4,     /* max(0, normal with mean x and variance sigmoid(x)) (Nair and Hinton 2010) */
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
} hc_dense_args;
HC_API hc_status hc_dense_gibbs(const hc_dense_args* args);

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

/* ---- the machine's ceilings, for benchmarks ------------------------------------------------------------------------- */

/* Multiply-adds in registers at an ISA level, on the calling thread, two operations a multiply-add. */
HC_API hc_status hc_bench_fma_peak(const char* isa, int64_t iterations, double* flop_per_second);
/* Copies n_bytes `iterations` times on the calling thread; bytes read plus bytes written. */
HC_API hc_status hc_bench_copy(int64_t n_bytes, int64_t iterations, double* bytes_per_second);

#ifdef __cplusplus
}
    int asynchronous;       /* nonzero: a sweep is as many probes of units drawn at random as there are free ones */
    int64_t counted_sweeps; /* of how many last sweeps `pairs` has the sums; in 0 .. sweeps */
    int64_t* pairs;         /* [n_units, n_units], written: times that both units were on; NULL: not wanted */
#endif
#endif /* HINTONCORE_H */
