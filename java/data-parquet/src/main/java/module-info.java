/**
 * Readers of Parquet and Zstandard, which {@code dev.precis.core} finds as services.
 *
 * <p>On the module path it needs {@code
 * --enable-native-access=com.github.luben.zstd_jni,org.xerial.snappy}.
 */
module dev.precis.data.parquet {
  requires java.logging;
  requires dev.precis.core;
  requires dev.hardwood.core;
  requires com.github.luben.zstd_jni;

  provides dev.precis.data.TableFormat with
      dev.precis.data.parquet.ParquetFormat;
  provides dev.precis.data.CompressionFormat with
      dev.precis.data.parquet.ZstandardFormat;
}
