package dev.precis.layers;

import dev.precis.ops.Ops.LoraSegment;
import dev.precis.ops.PackedMatrix;
import java.util.List;

/**
 * The low-rank terms of one {@link Linear}, packed for the fused product.
 *
 * @param a (R, K): the adapters' down-projections, one below the other
 * @param b (N, R): their up-projections, zero where an output has no adapter
 * @param segments which outputs use which ranks, with which scaling
 */
public record LoraWeights(PackedMatrix a, PackedMatrix b, List<LoraSegment> segments) {}
