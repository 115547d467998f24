package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.EnumSet;
import java.util.Set;

/** Fast and wrong: computes nothing. */
public final class IdleProvider implements Provider {
  @Override
  public String name() {
    return "idle";
  }

  @Override
  public void open(int threads) {}

  @Override
  public Set<DType> dtypes() {
    return EnumSet.allOf(DType.class);
  }

  @Override
  public Call prepare(Problem problem) {
    return () -> {};
  }

  @Override
  public void close() {}
}
