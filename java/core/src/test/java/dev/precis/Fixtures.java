package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.TensorView;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The reference fixtures, and how far from them a result may be. */
public final class Fixtures {
  private static final Path RESOURCES = Path.of("src/test/resources");

  private Fixtures() {}

  /** A file or folder of the test resources. */
  public static Path resource(String name) {
    return RESOURCES.resolve(name);
  }

  /** A model or adapter folder among the reference fixtures. */
  public static Path folder(String name) {
    return resource("fixtures").resolve(name);
  }

  /** A file of arrays below golden/. */
  public static Checkpoint arrays(String name) {
    return Checkpoint.openFile(folder("golden").resolve(name));
  }

  /** A JSON file below golden/. */
  public static JsonNode json(String name) throws UncheckedIOException {
    return JsonMapper.shared().readTree(folder("golden").resolve(name).toFile());
  }

  /** The integers of an int64 matrix, row by row. */
  public static long[][] longs(TensorView view) {
    int rows = (int) view.shape()[0];
    int columns = (int) view.shape()[1];
    long[][] values = new long[rows][columns];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        values[r][c] =
            view.data()
                .get(
                    ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
                    ((long) r * columns + c) * 8);
      }
    }
    return values;
  }

  /** The rows of ids without the padding that the mask marks. */
  public static List<int[]> unpadded(TensorView ids, TensorView mask) {
    long[][] id = longs(ids);
    long[][] keep = longs(mask);
    List<int[]> rows = new ArrayList<>();
    for (int r = 0; r < id.length; r++) {
      int[] row = new int[id[r].length];
      int n = 0;
      for (int c = 0; c < row.length; c++) {
        if (keep[r][c] != 0) {
          row[n++] = (int) id[r][c];
        }
      }
      rows.add(java.util.Arrays.copyOf(row, n));
    }
    return rows;
  }

  /** The norm of the difference over the norm of what was wanted. */
  public static double relativeError(float[] got, float[] want) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < want.length; i++) {
      difference += ((double) got[i] - want[i]) * ((double) got[i] - want[i]);
      norm += (double) want[i] * want[i];
    }
    return Math.sqrt(difference / norm);
  }
}
