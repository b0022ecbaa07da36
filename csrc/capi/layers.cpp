#include "capi/border.h"
#include "cpu/dropout.h"
#include "cpu/embedding.h"
#include "cpu/layer_norm.h"
#include "cpu/softmax.h"

namespace hc {
namespace {

void require_matrix(int64_t rows, int64_t columns, int threads) {
    require_size(rows, "rows");
    require_size(columns, "columns");
    require_elements(rows, columns, "x");
    require_threads(threads);
}

// y is x, or apart from it.
void require_same_or_apart(const float* y, const float* x, int64_t floats) {
    if (y != x) require_apart(y, floats, "y", x, floats, "x");
}

void require_indices(const int32_t* index, int64_t n, int64_t limit, const char* name) {
    for (int64_t i = 0; i < n; ++i)
        if (index[i] < 0 || index[i] >= limit)
            invalid(std::string(name) + ": expected values in 0.." + std::to_string(limit - 1) + ", got " +
                    std::to_string(index[i]) + " at " + std::to_string(i));
}

void checked_softmax(const hc_softmax_args& p) {
    require_matrix(p.rows, p.columns, p.threads);
    require_pointer(p.x, "x");
    require(!(p.labels && p.targets), "labels, targets: give at most one");
    require(p.y || p.loss, "y, loss: give at least one");
    require(!p.loss || p.labels || p.targets, "loss: needs labels or targets");
    require(std::isfinite(p.scale), "scale: expected a finite number");
    const int64_t floats = p.rows * p.columns;
    if (p.y) {
        require_same_or_apart(p.y, p.x, floats);
        require_apart(p.y, floats, "y", p.targets, floats, "targets");
    }
    if (p.labels) require_indices(p.labels, p.rows, p.columns, "labels");
    softmax(p);
}

void checked_layer_norm(const hc_layer_norm_args& p) {
    require_matrix(p.rows, p.columns, p.threads);
    require_pointer(p.x, "x");
    require_pointer(p.y, "y");
    require(p.epsilon >= 0.0f && std::isfinite(p.epsilon), "epsilon: expected a finite number >= 0");
    const int64_t floats = p.rows * p.columns;
    require_same_or_apart(p.y, p.x, floats);
    const Part outputs[] = {{p.y, floats, "y"}, {p.mean, p.rows, "mean"}, {p.inverse_std, p.rows, "inverse_std"}};
    const Part inputs[] = {{p.gain, p.columns, "gain"}, {p.shift, p.columns, "shift"}};
    require_all_apart(outputs, inputs);
    layer_norm(p);
}

void checked_layer_norm_backward(const hc_layer_norm_backward_args& p) {
    require_matrix(p.rows, p.columns, p.threads);
    require_pointer(p.x, "x");
    require_pointer(p.mean, "mean");
    require_pointer(p.inverse_std, "inverse_std");
    require_pointer(p.dy, "dy");
    require(p.dx || p.dgain || p.dshift, "dx, dgain, dshift: give at least one");
    const int64_t floats = p.rows * p.columns;
    const Part outputs[] = {{p.dx, floats, "dx"}, {p.dgain, p.columns, "dgain"}, {p.dshift, p.columns, "dshift"}};
    const Part inputs[] = {{p.x, floats, "x"},
                           {p.gain, p.columns, "gain"},
                           {p.mean, p.rows, "mean"},
                           {p.inverse_std, p.rows, "inverse_std"},
                           {p.dy, floats, "dy"}};
    require_all_apart(outputs, inputs);
    layer_norm_backward(p);
}

void checked_dropout(const hc_dropout_args& p) {
    require_matrix(p.rows, p.columns, p.threads);
    require_pointer(p.x, "x");
    require_pointer(p.y, "y");
    require(p.rate >= 0.0f && p.rate < 1.0f, "rate: expected a number in [0, 1)");
    require(p.first_sample >= 0 && p.first_sample % 64 == 0 && p.first_sample <= (int64_t{1} << 34),
            "first_sample: expected a multiple of 64 in 0..2^34");
    require_same_or_apart(p.y, p.x, p.rows * p.columns);
    dropout(p);
}

void require_table(const float* table, int64_t rows, int64_t columns, const int32_t* index, int64_t n, int threads) {
    require_size(rows, "rows");
    require_size(columns, "columns");
    require_size(n, "n");
    require_elements(rows, columns, "table");
    require_elements(n, columns, "index");
    require_pointer(table, "table");
    require_pointer(index, "index");
    require_threads(threads);
    require_indices(index, n, rows, "index");
}

}  // namespace
}  // namespace hc

extern "C" {

hc_status hc_softmax(const hc_softmax_args* args) {
    return hc::at_border([&] { hc::checked_softmax(hc::read_args(args)); });
}

hc_status hc_layer_norm(const hc_layer_norm_args* args) {
    return hc::at_border([&] { hc::checked_layer_norm(hc::read_args(args)); });
}

hc_status hc_layer_norm_backward(const hc_layer_norm_backward_args* args) {
    return hc::at_border([&] { hc::checked_layer_norm_backward(hc::read_args(args)); });
}

hc_status hc_dropout(const hc_dropout_args* args) {
    return hc::at_border([&] { hc::checked_dropout(hc::read_args(args)); });
}

hc_status hc_embedding(const float* table, int64_t rows, int64_t columns, const int32_t* index, int64_t n, float* out,
                       int threads) {
    return hc::at_border([&] {
        hc::require_table(table, rows, columns, index, n, threads);
        hc::require_pointer(out, "out");
        hc::require_apart(out, n * columns, "out", table, rows * columns, "table");
        hc::embedding(table, columns, index, n, out, threads);
    });
}

hc_status hc_embedding_add(float* table, int64_t rows, int64_t columns, const int32_t* index, int64_t n,
                           const float* source, float scale, int threads) {
    return hc::at_border([&] {
        hc::require_table(table, rows, columns, index, n, threads);
        hc::require_pointer(source, "source");
        hc::require(std::isfinite(scale), "scale: expected a finite number");
        hc::require_apart(table, rows * columns, "table", source, n * columns, "source");
        hc::embedding_add(table, columns, index, n, source, scale, threads);
    });
}

}  // extern "C"
