// Images with their padding, some rows of some channels at a time, as the products of a convolution read them.
#pragma once

#include <stdint.h>

#include "cpu/gemm_grid.h"
#include "cpu/workspace.h"
#include "hintoncore/hintoncore.h"

namespace hc {

// Sizes that follow from a shape.
struct ConvSizes : hc_conv2d_shape {
    int64_t out_height, out_width;
    int64_t pixels;       // of an output plane
    int64_t taps;         // of a kernel plane
    int64_t padded_rows;  // of an image, as far as they are looked at
    int64_t padded_columns;

    explicit ConvSizes(const hc_conv2d_shape& shape);
};

// Channels c0 .. c0 + channels and padded rows r0 .. r0 + rows, the images' rows counted one image after the other, as
// [channels, rows, row_length]. With phases, the columns of a row are sorted by column % stride_x, so that those which
// neighbouring pixels look at are neighbours too.
class ConvStage {
   public:
    // What pixels first .. first + n of the batch look at.
    ConvStage(const ConvSizes& sizes, int64_t c0, int64_t channels, int64_t first, int64_t n, bool phases,
              Workspace& workspace);

    void load(const float* x, int threads);  // from images [batch, all channels, height, width]
    void clear();
    void add_to(float* dx) const;  // what lies within the images

    GemmGrid taps() const;    // of all channels, by (channel, ky, kx)
    GemmGrid pixels() const;  // of the batch
    float* data() const { return data_; }
    int64_t plane() const { return rows_ * row_length_; }
    int64_t floats() const { return channels_ * plane(); }

   private:
    template <class F>
    void each_row(int64_t begin, int64_t end, F&& f) const;

    const ConvSizes& s_;
    int64_t c0_, channels_, r0_, rows_, phases_, phase_width_, row_length_;
    float* data_;
};

}  // namespace hc
