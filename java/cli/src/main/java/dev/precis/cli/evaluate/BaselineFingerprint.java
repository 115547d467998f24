package dev.precis.cli.evaluate;

import dev.precis.checkpoint.Fingerprint;
import dev.precis.checkpoint.ModelFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Identifies the baseline by the SHA-256 of its weights, and detects that they changed while it was
 * evaluated.
 */
public final class BaselineFingerprint {
  private final Candidate baseline;
  private final Map<Path, String> before;

  public BaselineFingerprint(Candidate baseline) {
    this.baseline = baseline;
    before = fingerprints();
  }

  private Map<Path, String> fingerprints() {
    Map<Path, String> all = new LinkedHashMap<>();
    if (baseline.isFile()) {
      all.put(baseline.model(), ModelFolder.fileHash(baseline.model()));
      return all;
    }
    all.put(baseline.model(), Fingerprint.ofModel(baseline.model()));
    baseline.adapters().forEach(folder -> all.put(folder, Fingerprint.ofAdapter(folder)));
    return all;
  }

  /** Returns the SHA-256 of the weights in each folder: the model's, then the adapters'. */
  public Map<Path, String> hashes() {
    return before;
  }

  /**
   * Makes sure that the weights are what they were.
   *
   * @throws UncheckedIOException where they are not
   */
  public void check() {
    Map<Path, String> after = fingerprints();
    before.forEach(
        (folder, hash) -> {
          if (!hash.equals(after.get(folder))) {
            String sentence =
                "%s changed during the evaluation, from %s to %s: evaluate again"
                    .formatted(folder, hash, after.get(folder));
            throw new UncheckedIOException(sentence, new IOException(sentence));
          }
        });
  }
}
