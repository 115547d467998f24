package dev.precis.data.parquet;

import com.github.luben.zstd.ZstdInputStream;
import dev.precis.data.CompressionFormat;
import java.io.IOException;
import java.io.InputStream;

/** Zstandard, as {@code zstd} writes it. */
public final class ZstandardFormat implements CompressionFormat {
  /** The largest window, of 128 MB: as zstd without {@code --long=31}. */
  private static final int MOST_WINDOW_BITS = 27;

  @Override
  public String extension() {
    return "zst";
  }

  @Override
  public InputStream open(InputStream compressed) throws IOException {
    ZstdInputStream in = new ZstdInputStream(compressed);
    in.setLongMax(MOST_WINDOW_BITS);
    return in;
  }
}
