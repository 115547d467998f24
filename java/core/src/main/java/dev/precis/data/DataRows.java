package dev.precis.data;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The items that the rows of a data set become, one in memory at a time. It applies the policy for
 * bad rows.
 *
 * @param <T> type of the items
 */
final class DataRows<T> extends Spliterators.AbstractSpliterator<T> {
  /** The number of bad rows that are named. */
  private static final int NAMED = 3;

  /** Makes an item of a row; null leaves the row out without a word. */
  @FunctionalInterface
  interface ItemMaker<T> {
    T make(Row row, RowReader reader);
  }

  private final Path data;
  private final String kind;
  private final DataOptions options;
  private final ItemMaker<T> maker;
  private final ColumnNames columns;
  private final RowReader reader;
  private final Iterator<Path> files;
  private final List<String> named = new ArrayList<>();
  private RowSource source;
  private long rows;
  private long skipped;
  private long before; // number of the last row in the files before this one
  private long last;
  private boolean ended;

  private DataRows(Path data, String kind, DataOptions options, ItemMaker<T> maker) {
    super(Long.MAX_VALUE, Spliterator.ORDERED | Spliterator.NONNULL);
    this.data = data;
    this.kind = kind;
    this.options = options;
    this.maker = maker;
    columns = new ColumnNames(options.columns(), options.listener());
    reader = new RowReader(columns);
    files = DataFiles.of(data, options).files().iterator();
  }

  /**
   * Streams the items of a file or folder.
   *
   * @param kind what there should be at least one of
   */
  static <T> Stream<T> stream(Path data, String kind, DataOptions options, ItemMaker<T> maker) {
    DataRows<T> rows = new DataRows<>(data, kind, options, maker);
    rows.withReason(
        () -> {
          rows.openNext();
          return null;
        });
    return StreamSupport.stream(rows, false).onClose(rows::close);
  }

  /** Reads all items; see {@link #stream}. */
  static <T> List<T> read(Path data, String kind, DataOptions options, ItemMaker<T> maker) {
    try (Stream<T> items = stream(data, kind, options, maker)) {
      return items.toList();
    }
  }

  private boolean openNext() throws IOException {
    if (!files.hasNext()) {
      return false;
    }
    if (source != null) {
      source.close();
    }
    source = DataSource.open(files.next(), columns, Files.isDirectory(data));
    before = last;
    return true;
  }

  @Override
  public boolean tryAdvance(Consumer<? super T> action) {
    while (!ended) { // an iterator over a mapped stream asks once more
      try {
        Row row = withReason(source::next);
        if (row == null) {
          if (!withReason(this::openNext)) {
            ended = true;
            finish();
          }
          continue;
        }
        last = before + row.number();
        T item = maker.make(new Row(row.fields(), row.where(), last), reader);
        rows++;
        if (item != null) {
          action.accept(item);
          return true;
        }
      } catch (BadRowException e) {
        rows++;
        skip(e);
      }
    }
    return false;
  }

  private void skip(BadRowException e) {
    if (!options.badRows().skips(e)) {
      ended = true;
      throw e;
    }
    skipped++;
    if (named.size() < NAMED) {
      named.add(e.getMessage());
    }
  }

  private void finish() {
    if (rows == 0) {
      throw new InvalidInputException(DataSource.nameOf(data) + " holds no " + kind);
    }
    if (skipped == rows) {
      throw new InvalidInputException(
          "%s has no row that can be used; the first of %d: %s"
              .formatted(DataSource.nameOf(data), rows, named.getFirst()));
    }
    if (skipped > 0) {
      options
          .listener()
          .note(
              "%s: %,d of %,d rows skipped: %s%s."
                  .formatted(
                      DataSource.nameOf(data),
                      skipped,
                      rows,
                      String.join("; ", named),
                      skipped > NAMED ? "; and %,d more".formatted(skipped - NAMED) : ""));
    }
    options.listener().finished(data, rows, skipped, columns.found());
  }

  /** Reads, and explains why that fails. */
  private <R> R withReason(IoSupplier<R> read) {
    try {
      return read.get();
    } catch (IOException e) {
      throw new UncheckedIOException(
          "Cannot read " + DataSource.nameOf(data) + ": " + Reason.of(e), e);
    }
  }

  @FunctionalInterface
  private interface IoSupplier<R> {
    R get() throws IOException;
  }

  private void close() {
    withReason(
        () -> {
          if (source != null) {
            source.close();
          }
          return null;
        });
  }
}
