package dev.precis.spark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Spark in this process, and data for it. */
final class LocalSpark {
  static final Path FIXTURES =
      Path.of("../core/src/test/resources/fixtures").toAbsolutePath().normalize();

  private static SparkSession current;
  private static String currentMaster;

  private LocalSpark() {}

  /** Returns a session, which classes of the same master share; it ends with the process. */
  static synchronized SparkSession start(String master) {
    if (current == null || current.sparkContext().isStopped() || !master.equals(currentMaster)) {
      current = start(master, Map.of());
      currentMaster = master;
    }
    return current;
  }

  /** Starts a session in place of the one that there may be. */
  static synchronized SparkSession start(String master, Map<String, String> more) {
    if (current != null) {
      current.stop();
      current = null;
    }
    SparkSession.Builder builder =
        SparkSession.builder()
            .master(master)
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            // Queries of a few rows are over before a compiler is done with them.
            .config("spark.sql.codegen.wholeStage", "false")
            .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.warehouse.dir", Path.of("target/warehouse").toUri().toString());
    more.forEach(builder::config);
    return builder.getOrCreate();
  }

  static String fixture(String name) {
    return FIXTURES.resolve(name).toString();
  }

  /** Makes a frame of the columns id and text, with a row for each text. */
  static Dataset<Row> texts(SparkSession spark, List<String> texts, int partitions) {
    StructType schema =
        new StructType().add("id", DataTypes.LongType).add("text", DataTypes.StringType);
    List<Row> rows = new ArrayList<>();
    for (String text : texts) {
      rows.add(RowFactory.create((long) rows.size(), text));
    }
    return spark.createDataset(rows, Encoders.row(schema)).coalesce(1).repartition(partitions);
  }
}
