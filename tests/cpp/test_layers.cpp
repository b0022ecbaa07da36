// Layers, losses and optimisers through the C interface, meant to be built with sanitizers: arrays of exactly the size that
// the header asks for, odd shapes, every ISA level, several thread counts that must agree, and what is refused.
#include <cmath>
#include <limits>

#include "check.h"

namespace {

struct Shape {
    int64_t rows, columns;
};
const std::vector<Shape> kShapes = {{1, 1}, {1, 15}, {3, 16}, {65, 17}, {64, 33}, {130, 70}, {40, 600}};

// Everything one shape gives, so that runs can be compared.
struct Results {
    std::vector<Floats> arrays;
    std::vector<double> numbers;
    bool operator==(const Results& other) const { return arrays == other.arrays && numbers == other.numbers; }
};

size_t size_of(const Shape& s) { return static_cast<size_t>(s.rows * s.columns); }

Results run(const Shape& s, int threads) {
    Lcg rng(static_cast<uint64_t>(s.rows * 1000 + s.columns));
    const Floats x = fractions(rng, s.rows * s.columns), dy = fractions(rng, s.rows * s.columns);
    const Floats gain = fractions(rng, s.columns), shift = fractions(rng, s.columns);
    std::vector<int32_t> labels(static_cast<size_t>(s.rows));
    for (int32_t& label : labels) label = rng.below(static_cast<int>(s.columns));
    Results out;

    Floats y(size_of(s));
    double loss = 0.0;
    hc_softmax_args softmax{
        sizeof(hc_softmax_args), s.rows, s.columns, x.data(), labels.data(), nullptr, 0.5f, y.data(), &loss, threads};
    CHECK_OK(hc_softmax(&softmax));
    CHECK(loss >= 0.0);
    out.arrays.push_back(y);
    out.numbers.push_back(loss);
    softmax.labels = nullptr;
    softmax.targets = dy.data();
    CHECK_OK(hc_softmax(&softmax));
    out.arrays.push_back(y);
    out.numbers.push_back(loss);

    Floats mean(static_cast<size_t>(s.rows)), inverse_std(mean.size());
    hc_layer_norm_args norm{sizeof(hc_layer_norm_args),
                            s.rows,
                            s.columns,
                            x.data(),
                            gain.data(),
                            shift.data(),
                            1e-5f,
                            y.data(),
                            mean.data(),
                            inverse_std.data(),
                            threads};
    CHECK_OK(hc_layer_norm(&norm));
    out.arrays.insert(out.arrays.end(), {y, mean, inverse_std});
    Floats dx(size_of(s)), dgain(gain.size()), dshift(gain.size());
    hc_layer_norm_backward_args back{sizeof(hc_layer_norm_backward_args),
                                     s.rows,
                                     s.columns,
                                     x.data(),
                                     gain.data(),
                                     mean.data(),
                                     inverse_std.data(),
                                     dy.data(),
                                     dx.data(),
                                     dgain.data(),
                                     dshift.data(),
                                     threads};
    CHECK_OK(hc_layer_norm_backward(&back));
    out.arrays.insert(out.arrays.end(), {dx, dgain, dshift});

    hc_dropout_args dropout{sizeof(hc_dropout_args), s.rows, s.columns, x.data(), 0.25f, 7, 9, 64, y.data(), threads};
    CHECK_OK(hc_dropout(&dropout));
    out.arrays.push_back(y);

    std::vector<int32_t> index(300);
    for (int32_t& i : index) i = rng.below(static_cast<int>(s.rows));
    Floats picked(index.size() * static_cast<size_t>(s.columns)), table = x;
    CHECK_OK(hc_embedding(x.data(), s.rows, s.columns, index.data(), 300, picked.data(), threads));
    CHECK_OK(hc_embedding_add(table.data(), s.rows, s.columns, index.data(), 300, picked.data(), 0.5f, threads));
    out.arrays.insert(out.arrays.end(), {picked, table});

    for (int rule = HC_OPTIMISER_SGD; rule <= HC_OPTIMISER_ADAM; ++rule) {
        Floats w = x, velocity(w.size()), square(w.size());
        hc_optimiser_args step{};
        step.struct_size = sizeof step;
        step.rule = rule;
        step.n = s.rows * s.columns;
        step.w = w.data();
        step.grad = dy.data();
        step.velocity = rule == HC_OPTIMISER_SGD ? nullptr : velocity.data();
        step.square = rule >= HC_OPTIMISER_RMSPROP ? square.data() : nullptr;
        step.lr = 0.1f;
        step.momentum = rule == HC_OPTIMISER_SGD ? 0.0 : 0.9;
        step.square_decay = 0.9;
        step.epsilon = 1e-8f;
        step.weight_decay = 0.01f;
        step.grad_scale = 1.0f;
        step.step = 1;
        step.threads = threads;
        CHECK_OK(hc_optimiser_step(&step));
        out.arrays.insert(out.arrays.end(), {w, velocity, square});
    }
    double sum = 0.0;
    CHECK_OK(hc_sum_of_squares(x.data(), s.rows * s.columns, &sum, threads));
    out.numbers.push_back(sum);
    CHECK_OK(hc_max_norm(table.data(), s.rows, s.columns, 0.75f, threads));
    out.arrays.push_back(table);
    return out;
}

void test_shapes() {
    for (const Shape& s : kShapes) {
        const Results one = run(s, 1);
        for (const int threads : {2, 3, 8}) CHECK(run(s, threads) == one);
    }
}

void test_refusals() {
    float x[4] = {0, 1, 2, 3}, y[4] = {};
    double loss = 0.0;
    int32_t labels[2] = {0, 2}, index[2] = {0, -1};
    hc_softmax_args softmax{sizeof(hc_softmax_args), 2, 2, x, labels, nullptr, 1.0f, y, &loss, 0};
    CHECK_REFUSED(hc_softmax(&softmax), "labels");
    softmax.labels = nullptr;
    CHECK_REFUSED(hc_softmax(&softmax), "loss");
    softmax.targets = x;
    softmax.y = x;
    CHECK_REFUSED(hc_softmax(&softmax), "targets");
    softmax.y = x + 1;
    CHECK_REFUSED(hc_softmax(&softmax), "y");
    softmax.rows = INT64_MAX;
    CHECK_REFUSED(hc_softmax(&softmax), "rows");
    CHECK_REFUSED(hc_softmax(nullptr), "args");

    hc_layer_norm_args norm{sizeof(hc_layer_norm_args), 2, 2, x, nullptr, nullptr, -1.0f, y, nullptr, nullptr, 0};
    CHECK_REFUSED(hc_layer_norm(&norm), "epsilon");
    norm.epsilon = 0.1f;
    norm.mean = y;
    CHECK_REFUSED(hc_layer_norm(&norm), "mean");
    hc_layer_norm_backward_args back{
        sizeof(hc_layer_norm_backward_args), 2, 2, x, nullptr, y, y, x, nullptr, nullptr, nullptr, 0};
    CHECK_REFUSED(hc_layer_norm_backward(&back), "dx");
    back.dx = x;
    CHECK_REFUSED(hc_layer_norm_backward(&back), "dx");

    hc_dropout_args dropout{sizeof(hc_dropout_args), 2, 2, x, 1.0f, 0, 0, 0, y, 0};
    CHECK_REFUSED(hc_dropout(&dropout), "rate");
    dropout.rate = 0.5f;
    dropout.first_sample = 1;
    CHECK_REFUSED(hc_dropout(&dropout), "first_sample");

    CHECK_REFUSED(hc_embedding(x, 2, 2, index, 2, y, 0), "index");
    CHECK_REFUSED(hc_embedding_add(x, 2, 2, index, 2, y, 1.0f, 0), "index");
    index[1] = 1;
    CHECK_REFUSED(hc_embedding(x, 2, 2, index, 2, x, 0), "out");
    CHECK_REFUSED(hc_embedding_add(x, 2, 2, index, 2, x, 1.0f, 0), "table");

    hc_optimiser_args step{};
    step.struct_size = sizeof step;
    step.n = 4;
    step.w = x;
    step.grad = y;
    step.grad_scale = 1.0f;
    step.lr = std::numeric_limits<float>::quiet_NaN();
    CHECK_REFUSED(hc_optimiser_step(&step), "lr");
    step.lr = 0.1f;
    step.momentum = 0.5;
    CHECK_REFUSED(hc_optimiser_step(&step), "momentum");
    step.momentum = 0.0;
    step.rule = HC_OPTIMISER_RMSPROP;
    CHECK_REFUSED(hc_optimiser_step(&step), "square");
    step.rule = 17;
    CHECK_REFUSED(hc_optimiser_step(&step), "rule");
    step.rule = HC_OPTIMISER_SGD;
    step.grad = x;
    CHECK_REFUSED(hc_optimiser_step(&step), "w");
    step.grad = y;
    y[0] = std::numeric_limits<float>::infinity();
    check_refused(hc_optimiser_step(&step), HC_DIVERGED, "w", __LINE__);
    CHECK_REFUSED(hc_sum_of_squares(x, 0, &loss, 0), "n");
    CHECK_REFUSED(hc_max_norm(x, 2, 2, 0.0f, 0), "limit");
}

}  // namespace

int main() {
    test_refusals();
    return run_at_every_level({test_shapes});
}
