package dev.precis.benchmarks;

/**
 * A problem that a provider is asked to solve: operands and the place for the result, in native
 * memory. The formulas are those of precis.h.
 *
 * <p>Where an operation changes its operand, or adds to it, {@code before} is a copy of what stood
 * there before the first call.
 */
public sealed interface Problem
    permits AttentionProblem,
        ElementwiseProblem,
        LossProblem,
        NormProblem,
        OptimizerProblem,
        ProductProblem,
        SamplingProblem {}
