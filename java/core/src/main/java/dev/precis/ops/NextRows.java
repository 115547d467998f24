package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * The rows that chosen tokens are appended to, so that the next step finds on the device what it
 * reads; see {@code precis_sample_args}. The last three may be those that the tokens are chosen by.
 *
 * @param ids (M) int32: the token that each row reads next
 * @param lengths (M) int32
 * @param history (M, length) int32, as that of the rules
 * @param offsets (M) int64
 */
public record NextRows(Tensor ids, Tensor lengths, Tensor history, Tensor offsets) {}
