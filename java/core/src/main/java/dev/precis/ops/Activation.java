package dev.precis.ops;

/** Activation functions; the order is that of {@code precis_activation_kind}. */
public enum Activation {
  RELU,
  GELU_TANH,
  GELU_ERF,
  SILU,
  TANH
}
