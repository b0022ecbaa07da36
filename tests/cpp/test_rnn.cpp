// The recurrent layer through the C interface, meant to be built with sanitizers: arrays of exactly the size that the header
// asks for, odd shapes, every ISA level, several thread counts that must agree, and what is refused.
#include "check.h"

namespace {

struct Shape {
    int64_t steps, batch, hidden, inputs;
};
const std::vector<Shape> kShapes = {{1, 1, 1, 1},   {5, 1, 7, 2},    {2, 13, 17, 1}, {3, 12, 32, 3},
                                    {90, 25, 5, 1}, {2, 64, 100, 1}, {3, 7, 33, 20}};

Floats zeros(int64_t n) { return Floats(static_cast<size_t>(n)); }

std::vector<Floats> run(const Shape& s, int activation, bool with_h0, int threads) {
    Lcg rng(static_cast<uint64_t>(s.steps * 10000 + s.batch * 100 + s.hidden));
    const int64_t row = s.batch * s.hidden, all = s.steps * row;
    const Floats z = fractions(rng, all), x = fractions(rng, s.steps * s.batch * s.inputs);
    const Floats w_x = fractions(rng, s.inputs * s.hidden), bias = fractions(rng, s.hidden), h0 = fractions(rng, row);
    const Floats dh = fractions(rng, all), dh_last = fractions(rng, row);
    Floats w_h = fractions(rng, s.hidden * s.hidden);
    for (float& w : w_h) w /= static_cast<float>(s.hidden);

    std::vector<Floats> out;
    hc_rnn_args p{};
    p.struct_size = sizeof p;
    p.steps = s.steps;
    p.batch = s.batch;
    p.hidden = s.hidden;
    p.z = z.data();
    p.w_h = w_h.data();
    p.h0 = with_h0 ? h0.data() : nullptr;
    p.activation = activation;
    p.threads = threads;
    Floats h = zeros(all), last = zeros(row);
    p.h = h.data();
    p.h_last = last.data();
    CHECK_OK(hc_rnn(&p));
    CHECK(Floats(h.end() - row, h.end()) == last);
    out.insert(out.end(), {h, last});

    hc_rnn_backward_args b{};
    b.struct_size = sizeof b;
    b.steps = s.steps;
    b.batch = s.batch;
    b.hidden = s.hidden;
    b.h = h.data();
    b.w_h = w_h.data();
    b.h0 = p.h0;
    b.activation = activation;
    b.dh = dh.data();
    b.threads = threads;
    Floats dz = zeros(all), dw_h = zeros(s.hidden * s.hidden), dh0 = zeros(row);
    Floats dw_x = zeros(s.inputs * s.hidden), db = zeros(s.hidden);
    b.dz = dz.data();
    b.dw_h = dw_h.data();
    b.dh0 = dh0.data();
    CHECK_OK(hc_rnn_backward(&b));
    out.insert(out.end(), {dz, dw_h, dh0});

    p.z = nullptr;
    p.x = x.data();
    p.inputs = s.inputs;
    p.w_x = w_x.data();
    p.bias = bias.data();
    p.h_last = nullptr;
    CHECK_OK(hc_rnn(&p));
    out.push_back(h);
    b.inputs = s.inputs;
    b.x = x.data();
    b.dh = nullptr;
    b.dh_last = dh_last.data();
    b.dz = b.dw_h = b.dh0 = nullptr;
    b.dw_x = dw_x.data();
    b.db = db.data();
    CHECK_OK(hc_rnn_backward(&b));
    out.insert(out.end(), {dw_x, db});
    return out;
}

void test_shapes() {
    for (const Shape& s : kShapes)
        for (const int activation : {HC_ACTIVATION_NONE, HC_ACTIVATION_RELU, HC_ACTIVATION_TANH})
            for (const bool with_h0 : {false, true}) {
                const std::vector<Floats> one = run(s, activation, with_h0, 1);
                for (const int threads : {2, 3, 8}) CHECK(run(s, activation, with_h0, threads) == one);
            }
}

void test_refusals() {
    float z[4] = {}, w[4] = {}, h[4] = {}, g[4] = {};
    hc_rnn_args p{};
    p.struct_size = sizeof p;
    p.steps = 1;
    p.batch = p.hidden = 2;
    p.w_h = w;
    p.h = h;
    CHECK_REFUSED(hc_rnn(&p), "z, x");
    p.z = z;
    p.inputs = 1;
    CHECK_REFUSED(hc_rnn(&p), "inputs");
    p.inputs = 0;
    p.h = z;
    CHECK_REFUSED(hc_rnn(&p), "h");
    p.h = nullptr;
    CHECK_REFUSED(hc_rnn(&p), "h_last");
    p.h = h;
    p.activation = 9;
    CHECK_REFUSED(hc_rnn(&p), "activation");
    p.activation = HC_ACTIVATION_RELU;
    p.steps = INT32_MAX;
    p.batch = INT32_MAX;
    CHECK_REFUSED(hc_rnn(&p), "h");
    p.steps = -1;
    CHECK_REFUSED(hc_rnn(&p), "steps");
    CHECK_REFUSED(hc_rnn(nullptr), "args");

    hc_rnn_backward_args b{};
    b.struct_size = sizeof b;
    b.steps = 1;
    b.batch = b.hidden = 2;
    b.h = h;
    b.w_h = w;
    CHECK_REFUSED(hc_rnn_backward(&b), "dh");
    b.dh = g;
    CHECK_REFUSED(hc_rnn_backward(&b), "dz");
    b.dz = g;
    CHECK_REFUSED(hc_rnn_backward(&b), "dz");
    b.dz = nullptr;
    b.dw_x = z;
    CHECK_REFUSED(hc_rnn_backward(&b), "dw_x");
    b.dw_x = nullptr;
    b.db = z;
    b.dh_last = g;
    CHECK_REFUSED(hc_rnn_backward(&b), "dh_last");
    b.dh_last = nullptr;
    CHECK_OK(hc_rnn_backward(&b));
}

}  // namespace

int main() {
    test_refusals();
    return run_at_every_level({test_shapes});
}
