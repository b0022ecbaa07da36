/* A user's program in plain C99 against the installed header and library. test_capi.py builds it, runs it and compares
 * what it prints with what Python computes from the same numbers. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hintoncore/hintoncore.h>

enum { BATCH = 70, VISIBLE = 37, HIDDEN = 19, CHAINS = 65 };

static float states[BATCH * VISIBLE], hidden_states[BATCH * HIDDEN], chain_states[CHAINS * VISIBLE];
static float w[VISIBLE * HIDDEN], b_vis[VISIBLE], b_hid[HIDDEN];

static void fill(void) {
    int i, j;
    for (i = 0; i < BATCH; ++i) {
        for (j = 0; j < VISIBLE; ++j) states[i * VISIBLE + j] = (i * 7 + j * 3) % 5 < 2 ? 1.0f : 0.0f;
        for (j = 0; j < HIDDEN; ++j) hidden_states[i * HIDDEN + j] = (i * 5 + j) % 3 == 0 ? 1.0f : 0.0f;
    }
    for (i = 0; i < CHAINS; ++i)
        for (j = 0; j < VISIBLE; ++j) chain_states[i * VISIBLE + j] = (i + j * 11) % 4 == 0 ? 1.0f : 0.0f;
    for (i = 0; i < VISIBLE; ++i)
        for (j = 0; j < HIDDEN; ++j) w[i * HIDDEN + j] = (float)((i * 5 + j * 11) % 9 - 4) / 8.0f;
    for (i = 0; i < VISIBLE; ++i) b_vis[i] = (float)(i % 3 - 1) / 4.0f;
    for (j = 0; j < HIDDEN; ++j) b_hid[j] = (float)(j % 5 - 2) / 4.0f;
}

static void check(hc_status status, const char* what) {
    if (status == HC_OK) return;
    printf("%s failed with status %d: %s\n", what, (int)status, hc_last_error());
    exit(1);
}

/* The message must name the argument, and stay this one until the next failure. */
static void refused(hc_status status, hc_status expected, const char* word, int line) {
    if (status == expected && strstr(hc_last_error(), word)) return;
    printf("line %d: expected status %d naming '%s', got %d: %s\n", line, (int)expected, word, (int)status,
           hc_last_error());
    exit(1);
}
#define REFUSED(call, word) refused((call), HC_INVALID_ARGUMENT, (word), __LINE__)

static void print_words(const char* name, const uint64_t* words, int64_t n) {
    int64_t i;
    printf("%s", name);
    for (i = 0; i < n; ++i) printf(" %" PRIx64, words[i]);
    printf("\n");
}

static void print_floats(const char* name, const float* x, int64_t n) {
    int64_t i;
    printf("%s", name);
    for (i = 0; i < n; ++i) printf(" %a", (double)x[i]);
    printf("\n");
}

static hc_gibbs_args gibbs_args(uint64_t seed, uint64_t offset, int threads) {
    hc_gibbs_args a;
    memset(&a, 0, sizeof a);
    a.struct_size = sizeof a;
    a.batch = BATCH;
    a.n_visible = VISIBLE;
    a.n_hidden = HIDDEN;
    a.w = w;
    a.bias = b_hid;
    a.temperature = 1.5f;
    a.seed = seed;
    a.offset = offset;
    a.threads = threads;
    return a;
}

static void run_gibbs(uint64_t seed, uint64_t offset, int threads) {
    static uint64_t in[VISIBLE * 2], out[HIDDEN * 2], in_h[HIDDEN * 2], out_v[VISIBLE * 2];
    static float probs[BATCH * HIDDEN], dense[BATCH * HIDDEN];
    hc_gibbs_args a = gibbs_args(seed, offset, threads);
    if (hc_bit_words(BATCH) != 2) exit(1);
    check(hc_bits_pack(states, BATCH, VISIBLE, in, threads), "hc_bits_pack");
    a.in_bits = in;
    a.out_bits = out;
    a.out_probs = probs;
    a.out_dense = dense;
    check(hc_gibbs_step(&a), "hc_gibbs_step");
    print_words("hidden", out, HIDDEN * 2);
    print_floats("probs", probs, BATCH * HIDDEN);
    print_floats("dense", dense, BATCH * HIDDEN);

    a = gibbs_args(seed, offset + 1, threads);
    check(hc_bits_pack(hidden_states, BATCH, HIDDEN, in_h, threads), "hc_bits_pack");
    a.transpose = 1;
    a.in_bits = in_h;
    a.bias = b_vis;
    a.out_bits = out_v;
    check(hc_gibbs_step(&a), "hc_gibbs_step, transposed");
    print_words("visible", out_v, VISIBLE * 2);
}

static void run_cd(uint64_t seed, uint64_t offset, int threads) {
    static uint64_t v0[VISIBLE * 2], chains[VISIBLE * 2];
    static float vel_w[VISIBLE * HIDDEN], vel_vis[VISIBLE], vel_hid[HIDDEN];
    hc_cd_args a;
    hc_cd_stats stats;
    int update;
    check(hc_bits_pack(states, BATCH, VISIBLE, v0, threads), "hc_bits_pack");
    check(hc_bits_pack(chain_states, CHAINS, VISIBLE, chains, threads), "hc_bits_pack");
    memset(&a, 0, sizeof a);
    a.struct_size = sizeof a;
    a.batch = BATCH;
    a.n_visible = VISIBLE;
    a.n_hidden = HIDDEN;
    a.v0_bits = v0;
    a.w = w;
    a.b_vis = b_vis;
    a.b_hid = b_hid;
    a.vel_w = vel_w;
    a.vel_vis = vel_vis;
    a.vel_hid = vel_hid;
    a.k = 2;
    a.lr = 0.0625f;
    a.momentum = 0.5f;
    a.weight_decay = 0.03125f;
    a.seed = seed;
    a.offset = offset;
    a.threads = threads;
    for (update = 0; update < 3; ++update) { /* CD-2 twice, then PCD-2 */
        if (update == 2) {
            a.chains = chains;
            a.n_chains = CHAINS;
        }
        check(hc_cd_update(&a, &stats), "hc_cd_update");
        if ((update == 2) != (isnan(stats.reconstruction_error) != 0)) exit(1);
        a.offset += 4;
        if (update < 2) printf("error %a\n", stats.reconstruction_error);
        printf("hidden_mean %a\n", stats.hidden_mean);
    }
    print_floats("w", w, VISIBLE * HIDDEN);
    print_floats("b_vis", b_vis, VISIBLE);
    print_floats("b_hid", b_hid, HIDDEN);
    print_floats("vel_w", vel_w, VISIBLE * HIDDEN);
    print_words("chains", chains, VISIBLE * 2);
}

static void run_random(uint64_t seed, uint64_t offset, int threads) {
    static float x[1000];
    check(hc_uniform(seed, offset, 1000, x, threads), "hc_uniform");
    print_floats("uniform", x, 1000);
}

static void run_errors(void) {
    static uint64_t bits[VISIBLE * 2], out[HIDDEN * 2];
    hc_gibbs_args a = gibbs_args(1, 2, 0);
    const char* name = NULL;
    char kept[256];
    int threads = 0;
    check(hc_bits_pack(states, BATCH, VISIBLE, bits, 0), "hc_bits_pack");
    REFUSED(hc_gibbs_step(NULL), "args");
    REFUSED(hc_gibbs_step(&a), "in_bits");
    a.in_bits = bits;
    REFUSED(hc_gibbs_step(&a), "out_bits");
    a.out_bits = out;
    check(hc_gibbs_step(&a), "hc_gibbs_step");
    a.temperature = 0.0f;
    REFUSED(hc_gibbs_step(&a), "temperature");
    strncpy(kept, hc_last_error(), sizeof kept - 1);
    kept[sizeof kept - 1] = 0;
    check(hc_set_num_threads(2), "hc_set_num_threads");
    if (strcmp(kept, hc_last_error()) != 0) exit(1);
    a.temperature = 1.0f;
    a.struct_size = 0;
    REFUSED(hc_gibbs_step(&a), "struct_size");
    a.struct_size = sizeof a;
    a.n_hidden = (int64_t)1 << 40;
    REFUSED(hc_gibbs_step(&a), "n_hidden");
    states[3] = 0.5f;
    REFUSED(hc_bits_pack(states, BATCH, VISIBLE, bits, 0), "x");
    REFUSED(hc_uniform(0, 0, -4, states, 0), "n");

    check(hc_get_num_threads(&threads), "hc_get_num_threads");
    if (threads != 2) exit(1);
    REFUSED(hc_set_num_threads(-2), "threads");
    check(hc_get_isa(&name), "hc_get_isa");
    if (!hc_isa_built(name) || !hc_isa_detected(name)) exit(1);
    REFUSED(hc_set_isa("mmx"), "mmx");
    check(hc_set_isa("scalar"), "hc_set_isa");
    check(hc_set_isa(NULL), "hc_set_isa");
    printf("version %s\n", hc_version());
}

int main(int argc, char** argv) {
    uint64_t seed, offset;
    int threads;
    if (argc != 5) return 2;
    seed = strtoull(argv[2], NULL, 10);
    offset = strtoull(argv[3], NULL, 10);
    threads = atoi(argv[4]);
    fill();
    if (strcmp(argv[1], "gibbs") == 0)
        run_gibbs(seed, offset, threads);
    else if (strcmp(argv[1], "cd") == 0)
        run_cd(seed, offset, threads);
    else if (strcmp(argv[1], "random") == 0)
        run_random(seed, offset, threads);
    else if (strcmp(argv[1], "errors") == 0)
        run_errors();
    else
        return 2;
    return 0;
}
