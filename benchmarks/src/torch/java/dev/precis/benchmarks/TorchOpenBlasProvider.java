package dev.precis.benchmarks;

/**
 * The libtorch in bytedeco's jars. It stands on OpenBLAS and is up to 20 times slower than {@link
 * TorchProvider}, so that a comparison with it flatters this project.
 */
public final class TorchOpenBlasProvider extends TorchProvider {
  @Override
  public String name() {
    return "torch-openblas";
  }

  @Override
  void load() {
    TorchLibrary.loadBundled();
  }
}
