package dev.precis.data;

import dev.precis.data.arrow.ArrowReader;
import dev.precis.io.InvalidInputException;
import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;

/** Opens files by the ends of their names. */
final class DataSource {
  private static final int BUFFER = 1 << 16;

  private DataSource() {}

  /**
   * Returns the rows of a file, or of standard input, which holds JSON lines.
   *
   * @param amongOthers whether it is one of the files of a folder
   */
  static RowSource open(Path file, ColumnNames columns, boolean amongOthers) throws IOException {
    if (isStandardInput(file)) {
      return new JsonSource(standardInput(), nameOf(file), true);
    }
    if (Files.isDirectory(file)) {
      throw new InvalidInputException(file + " is a folder, not a file with dialogues");
    }
    DataFormat format =
        DataFormat.of(file.getFileName().toString())
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        "%s must end in %s, or in .txt".formatted(file, DataFiles.TABLES)));
    try {
      return switch (format) {
        case JSON_LINES -> new JsonSource(stream(file), nameOf(file), true);
        case JSON_LIST -> new JsonSource(stream(file), nameOf(file), false);
        case CSV -> new CsvSource(stream(file), nameOf(file), false, columns);
        case TSV -> new CsvSource(stream(file), nameOf(file), true, columns);
        case TEXT ->
            new TextSource(
                stream(file),
                nameOf(file),
                amongOthers ? DataFormat.baseName(file.getFileName().toString()) : null);
        case PARQUET ->
            new TableSource(Providers.table("parquet", existing(file)).open(file), nameOf(file));
        case ARROW -> {
          ArrowReader arrow =
              new ArrowReader(
                  new BufferedInputStream(Files.newInputStream(file), BUFFER),
                  nameOf(file),
                  in -> Providers.compression("zst", file).open(in));
          yield new TableSource(
              new TableFormat.Rows() {
                @Override
                public java.util.Map<String, Object> next() throws IOException {
                  return arrow.next();
                }

                @Override
                public void close() throws IOException {
                  arrow.close();
                }
              },
              nameOf(file));
        }
      };
    } catch (NoSuchFileException e) {
      throw new InvalidInputException(file + " does not exist", e);
    }
  }

  /** Returns the bytes of a file, decompressed where its name says that it is compressed. */
  static InputStream stream(Path file) throws IOException {
    String compression = DataFormat.compression(file.getFileName().toString());
    InputStream in = Files.newInputStream(file);
    if (compression.isEmpty()) {
      return in;
    }
    BoundedStream.Counted counted = new BoundedStream.Counted(new BufferedInputStream(in, BUFFER));
    try {
      InputStream decompressed =
          compression.equals("gz")
              ? new GZIPInputStream(counted, BUFFER)
              : Providers.compression("zst", file).open(counted);
      return new BoundedStream(decompressed, counted, nameOf(file));
    } catch (IOException e) {
      in.close();
      throw new InvalidInputException(
          "%s is not a %s file, as the end of its name says"
              .formatted(file, compression.equals("gz") ? "gzip" : "Zstandard"),
          e);
    } catch (RuntimeException e) {
      in.close();
      throw e;
    }
  }

  private static Path existing(Path file) throws NoSuchFileException {
    if (!Files.exists(file)) {
      throw new NoSuchFileException(file.toString());
    }
    return file;
  }

  private static InputStream standardInput() {
    return new FilterInputStream(System.in) {
      @Override
      public void close() {}
    };
  }

  static boolean isStandardInput(Path file) {
    return file.toString().equals("-");
  }

  static String nameOf(Path file) {
    return isStandardInput(file) ? "standard input" : file.toString();
  }
}
