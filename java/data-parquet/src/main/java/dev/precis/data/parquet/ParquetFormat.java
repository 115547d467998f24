package dev.precis.data.parquet;

import dev.precis.data.TableFormat;
import java.io.IOException;
import java.nio.file.Path;

/** Parquet files: uncompressed, Snappy, gzip or Zstandard. */
public final class ParquetFormat implements TableFormat {
  @Override
  public String extension() {
    return "parquet";
  }

  @Override
  public Rows open(Path file) throws IOException {
    return new ParquetRows(file);
  }
}
