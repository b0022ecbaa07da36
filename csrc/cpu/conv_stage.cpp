#include "cpu/conv_stage.h"

#include <algorithm>

#include "cpu/ceil_div.h"
#include "cpu/row_tiles.h"
#include "cpu/thread_pool.h"

namespace hc {

ConvSizes::ConvSizes(const hc_conv2d_shape& shape) : hc_conv2d_shape(shape) {
    out_height = (height + 2 * padding_y - kernel_height) / stride_y + 1;
    out_width = (width + 2 * padding_x - kernel_width) / stride_x + 1;
    pixels = out_height * out_width;
    taps = kernel_height * kernel_width;
    padded_rows = (out_height - 1) * stride_y + kernel_height;
    padded_columns = (out_width - 1) * stride_x + kernel_width;
}

ConvStage::ConvStage(const ConvSizes& sizes, int64_t c0, int64_t channels, int64_t first, int64_t n, bool phases,
                     Workspace& workspace)
    : s_(sizes), c0_(c0), channels_(channels) {
    const auto row = [&](int64_t pixel) {
        return pixel / s_.pixels * s_.padded_rows + pixel % s_.pixels / s_.out_width * s_.stride_y;
    };
    r0_ = row(first);
    rows_ = row(first + n - 1) + s_.kernel_height - r0_;
    phases_ = phases ? std::min(s_.stride_x, s_.padded_columns) : 1;
    phase_width_ = ceil_div(s_.padded_columns, phases_);
    row_length_ = phases_ * phase_width_;
    data_ = workspace.take<float>(floats());
}

GemmGrid ConvStage::taps() const {
    GemmGrid grid{s_.kernel_height, s_.kernel_width, plane(), row_length_};
    grid.phases = phases_;
    grid.phase_width = phase_width_;
    grid.origin = -c0_ * plane();
    return grid;
}

GemmGrid ConvStage::pixels() const {
    GemmGrid grid{s_.out_height, s_.out_width, s_.padded_rows * row_length_, s_.stride_y * row_length_};
    grid.column_stride = phases_ > 1 ? 1 : s_.stride_x;
    grid.origin = -r0_ * row_length_;
    return grid;
}

void ConvStage::clear() { std::fill(data_, data_ + floats(), 0.0f); }

// f(row of the stage, offset of its image row in [batch, all channels, height, width], or -1 within the padding) for rows
// begin .. end of all channels' rows.
template <class F>
void ConvStage::each_row(int64_t begin, int64_t end, F&& f) const {
    for (int64_t i = begin; i < end; ++i) {
        const int64_t channel = c0_ + i / rows_, row = r0_ + i % rows_;
        const int64_t image = row / s_.padded_rows, y = row % s_.padded_rows - s_.padding_y;
        const bool inside = y >= 0 && y < s_.height;
        f(data_ + i * row_length_, inside ? ((image * s_.channels + channel) * s_.height + y) * s_.width : -1);
    }
}

// Columns first .. last of an image are columns of phase `phase` from `at` on, `phases` apart.
struct PhaseColumns {
    int64_t first, last, at;
    PhaseColumns(const ConvSizes& s, int64_t phase, int64_t phases) {
        const int64_t skipped = s.padding_x > phase ? ceil_div(s.padding_x - phase, phases) : 0;
        at = skipped;
        first = phase + skipped * phases - s.padding_x;
        last = std::min(s.width, s.padded_columns - s.padding_x);
    }
};

void ConvStage::load(const float* x, int threads) {
    const RowTiles tiles(channels_ * rows_, row_length_);
    parallel_for(tiles.count(), threads, [&](int64_t tile) {
        each_row(tiles.first(tile), tiles.first(tile) + tiles.rows(tile), [&](float* row, int64_t offset) {
            std::fill(row, row + row_length_, 0.0f);
            if (offset < 0) return;
            const float* image = x + offset;
            for (int64_t phase = 0; phase < phases_; ++phase) {
                const PhaseColumns columns(s_, phase, phases_);
                if (columns.first >= columns.last) continue;
                float* to = row + phase * phase_width_ + columns.at;
                if (phases_ == 1)
                    std::copy(image + columns.first, image + columns.last, to);
                else
                    for (int64_t c = columns.first; c < columns.last; c += phases_) *to++ = image[c];
            }
        });
    });
}

void ConvStage::add_to(float* dx) const {
    each_row(0, channels_ * rows_, [&](const float* row, int64_t offset) {
        if (offset < 0) return;
        float* image = dx + offset;
        for (int64_t phase = 0; phase < phases_; ++phase) {
            const PhaseColumns columns(s_, phase, phases_);
            if (columns.first >= columns.last) continue;
            const float* from = row + phase * phase_width_ + columns.at;
            for (int64_t c = columns.first; c < columns.last; c += phases_) image[c] += *from++;
        }
    });
}

}  // namespace hc
