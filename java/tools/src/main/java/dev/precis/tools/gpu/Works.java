package dev.precis.tools.gpu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Gives each launch of a log its work. The log has grids, not shapes: the outputs of a product are
 * its columns of blocks times the tile's, and the length K of its sums follows from the layer that
 * it belongs to. Where the log cannot tell layers apart, each gets their mean, so that the sum over
 * the step is right.
 */
final class Works {
  /** The share of the tensor cores' rate that our wgmma kernel can reach: fast.cu's 635 of 989. */
  static final double WGMMA = 0.64;

  /** The share of a Hopper GPU's rate that mma.sync reaches. */
  static final double MMA = 0.6;

  /** Instructions for a token of a row: its share of Philox and of the logarithms of noise. */
  private static final double NOISE = 434 / 4.0;

  /** Instructions for a token in a round of radix select, and in one whose candidates are few. */
  private static final double SELECT = 12;

  private static final double SKIP = 6;

  private static final double READ = 5;

  /** Instructions for an element that dropout draws. */
  private static final double DRAW = 70 / 4.0;

  private final List<Code> codes;
  private final Shape s;

  Works(List<Code> codes, Shape shape) {
    this.codes = codes;
    this.s = shape;
  }

  /**
   * Returns the work of each launch.
   *
   * @param decoding true: a step of decoding; false: one of training, or single kernels
   */
  List<Work> of(List<Launch> launches, boolean decoding) {
    List<Work> works = new ArrayList<>();
    boolean activated = false;
    for (Launch launch : launches) {
      if (isProduct(launch)) {
        long outputs = outputs(launch);
        int inputs =
            decoding ? (outputs == s.d() && activated ? s.f() : s.d()) : inputs(launch, outputs);
        works.add(product(launch, inputs, decoding));
        activated = outputs == 2L * s.f();
      } else {
        works.add(launch.isKernel() ? other(launch, decoding) : null);
      }
    }
    return works;
  }

  // ---------------------------------------------------------------- products

  /** Returns whether a launch is a product by a layer's weight. */
  static boolean isProduct(Launch launch) {
    return launch.name().startsWith("lora_matmul") || isStep(launch);
  }

  private static boolean isWgmma(Launch launch) {
    return launch.name().equals("lora_matmul, wgmma");
  }

  /** A product of a decoding step: its name has the rows, the columns and the K of its tile. */
  private static boolean isStep(Launch launch) {
    return launch.name().startsWith("step_product");
  }

  private static boolean attends(Launch launch) {
    return launch.name().equals("step_product, attention_decode");
  }

  private static int[] tile(Launch launch) {
    if (attends(launch)) {
      return new int[] {16, 64, 96};
    }
    String[] sizes = launch.name().substring("step_product, ".length()).split(" x ");
    return Arrays.stream(sizes).mapToInt(Integer::parseInt).toArray();
  }

  /** Returns whether x goes through shared memory, beside the eight parts of each sum. */
  private static boolean isStaged(Launch launch) {
    int[] tile = tile(launch);
    return launch.shared() > 8L * tile[0] * (tile[1] + 8) * 4;
  }

  /** Returns the columns of a tile: 16 of one warp, 64 of four with few rows, otherwise 128. */
  static int columns(Launch launch) {
    if (isStep(launch)) {
      return tile(launch)[1];
    }
    return rows(launch) == 128 ? 128 : launch.threads() == 32 ? 16 : 64;
  }

  /** Returns the rows of a tile. */
  static int rows(Launch launch) {
    if (isStep(launch)) {
      return tile(launch)[0];
    }
    return isWgmma(launch) || launch.threads() == 256 ? 128 : 16;
  }

  /** Returns the outputs of a product: those of its tiles, of which a block may have several. */
  private long outputs(Launch launch) {
    long ofTurn = launch.x() * columns(launch);
    if (!isStep(launch) || attends(launch) || !isStaged(launch) || launch.y() == 1) {
      return ofTurn;
    }
    // Many rows that are normalized: queries, keys and values, or the feed-forward layer's. The log
    // does not say how many turns a block takes.
    for (long all : new long[] {3L * s.d(), 2L * s.f()}) {
      if (all % ofTurn == 0) {
        return all;
      }
    }
    return ofTurn;
  }

  /** Returns the ranks whose t a tile computes beside its own columns: padded to 16, 32 or 128. */
  static int ranks(Launch launch) {
    return !isWgmma(launch)
        ? 0
        : switch (launch.shared()) {
          case 105_520 -> 16;
          case 111_664 -> 32;
          case 197_696 -> 128;
          default -> 0;
        };
  }

  /** Returns K of a product of a LoRA step, or of a single one of d outputs. */
  private int inputs(Launch launch, long outputs) {
    int d = s.d();
    boolean encoder = launch.y() * 128 > (long) s.batch() * s.target();
    if (outputs < d) {
      return 3 * d; // t of the first layer, whose inputs need no gradient
    }
    if (outputs != d || s.batch() == 0) {
      return d;
    }
    return switch (ranks(launch)) {
      case 128 -> 3 * d; // the gradient of what q, k and v read
      case 32 -> encoder ? 2 * d : d; // of cross-attention's keys and values, and of its queries
      // Forward o and wo, backward o and wi; in the decoder cross-attention's q and twice o, too.
      default -> encoder ? (2 * d + 3 * s.f()) / 4 : (5 * d + 3 * s.f()) / 7;
    };
  }

  private Work product(Launch launch, int inputs, boolean decoding) {
    int width = columns(launch) + ranks(launch);
    int tile = rows(launch);
    long outputs = outputs(launch);
    double turns = (double) outputs / (launch.x() * columns(launch));
    double weights = 2.0 * outputs * inputs;
    double rowBytes = attends(launch) ? 0 : 2.0 * launch.y() * tile;
    double bytes = weights + rowBytes * (inputs + outputs);
    double blockBytes =
        2.0 * inputs * (turns * width + tile) + 2.0 * turns * tile * columns(launch);
    double tensor = 2.0 * turns * launch.blocks() * tile * width * inputs;
    if (attends(launch)) {
      // The epilogue: keys and values of the block's rows and of its head.
      double keys = 2.0 * 2 * s.d() * s.batch() * s.source();
      bytes += keys;
      blockBytes += keys / launch.blocks();
    }
    if (decoding && !isWgmma(launch)) {
      // W from memory; the block's rows are few and come from the cache.
      int rows = Math.min(tile, s.batch());
      blockBytes -= 2.0 * inputs * (tile - rows);
      // Rows that are normalized are float32.
      blockBytes += isStep(launch) && isStaged(launch) ? 2.0 * inputs * rows : 0;
    }
    return new Work(
        bytes,
        blockBytes,
        tensor,
        isWgmma(launch) ? WGMMA : MMA,
        0,
        code(launch),
        isWgmma(launch) ? launch.shared() : 0);
  }

  private Code code(Launch launch) {
    if (isWgmma(launch)) {
      int ranks = ranks(launch);
      return Code.find(
          codes, "lora_matmul_wgmma.cu", "lora_matmul_wgmma_kernel<Ring<" + ranks + ", (Low)0>");
    }
    if (isStep(launch)) {
      int[] tile = tile(launch);
      String epilogue = attends(launch) ? "AttendAligned" : "StoreAlone";
      String block =
          "Bf16, %d, %d, %d, false, %b, step::%s"
              .formatted(tile[0] / 16, tile[1] / 8, tile[2] / 32, isStaged(launch), epilogue);
      return Code.find(codes, "step_product.cu", "step::step_product_kernel<step::Block<" + block);
    }
    String block =
        launch.threads() == 32
            ? "16, 16, 1, 1, 0, 18, false, false, false"
            : "16, 64, 1, 4, 0, 7, false, false, false";
    return Code.find(codes, "lora_matmul_mma.cu", "lora_matmul_kernel<Block<" + block);
  }

  // ---------------------------------------------------------------- everything else

  private Work other(Launch launch, boolean decoding) {
    double d = s.d();
    double blocks = launch.blocks();
    double threads = blocks * launch.threads();
    double warpRows = launch.x() * launch.threads() / 32.0;
    return switch (launch.name()) {
      case "attention_decode" ->
          Work.stream(
              launch,
              4 * d * s.batch() * s.target(),
              4 * d * s.batch() * s.target(),
              code("attention_decode.cu", "attention_decode_kernel<Bf16, 1, true>"));
      case "embedding" ->
          Work.stream(launch, warpRows * d * 6, 0, code("embedding.cu", "embedding_kernel<Bf16>"));
      case "rms_norm" ->
          Work.stream(
              launch,
              (decoding ? s.batch() : warpRows) * d * 6,
              0,
              code("rms_norm.cu", "rms_norm_kernel<float>"));
      case "rms_norm_backward" ->
          Work.stream(
              launch, warpRows * d * 12, 0, code("rms_norm_backward.cu", "rms_norm_dx_kernel"));
      case "lora_down" -> {
        double elements = launch.x() * 16 * d;
        yield Work.stream(
            launch,
            elements * 6,
            elements * 2 * DRAW,
            code("lora_down.cu", "lora_down_kernel<32>"));
      }
      case "weight_gradient" -> {
        double rows = Math.min(512.0, s.batch() == 0 ? 512 : s.batch() * s.target());
        // A tile of 64 x 64 reads one factor in bfloat16 and the other in float32, which has as
        // many columns as there are ranks.
        Code code = code("weight_gradient.cu", "weight_gradient_kernel");
        double bytes = rows * (64 * 2 + Math.min(64, s.rank()) * 4);
        yield new Work(blocks * rows * 64 * 2, bytes, 8192 * rows * blocks, MMA, 0, code, 0);
      }
      case "attention", "attention_backward, queries", "attention_backward, keys" ->
          attention(launch);
      case "logits", "logits, dx" -> {
        double rows = Math.min(256.0, s.batch() * s.target());
        double bytes = 2 * d * s.vocabulary() + rows * s.vocabulary() * 4;
        double operations = 2 * rows * s.vocabulary() * d;
        Code code =
            launch.name().equals("logits")
                ? code("logit_products.cu", "logits_kernel<MmaTile<128, 2, 32, 4>, false")
                : code("logit_gradients.cu", "logit_dx_kernel<MmaTile<128");
        double ofBlock = operations / blocks / 128; // 128 x 128 x K: 2 bytes of x and of W a step
        yield new Work(bytes, 2 * ofBlock, operations, MMA, 0, code, 0);
      }
      case "finish_logit_rows" ->
          Work.stream(
              launch,
              blocks * s.vocabulary() * 8,
              blocks * s.vocabulary() * 40,
              code("linear_cross_entropy.cu", "finish_logit_rows_kernel"));
      case "sample" -> {
        double tokens = launch.clusters() * s.vocabulary(); // each has a row
        double plain = READ + NOISE;
        // Each limit has the first digit of all tokens, then few candidates; noise for those kept.
        double warped = READ + 2 * (SELECT + SKIP) + SKIP;
        double instructions = decoding ? 2 * READ : Math.max(plain, warped);
        // An instruction of a lane takes the place of a multiply-add, which is two operations.
        yield Work.stream(
            launch,
            tokens * 4,
            2 * tokens * instructions,
            code("sample.cu", "sample_kernel<true>"));
      }
      case "adam" ->
          Work.stream(launch, 28 * s.loraParameters(), 0, code("adam.cu", "elements_kernel<Adam>"));
      case "matmul_pack, several" ->
          Work.stream(
              launch,
              launch.y() * s.rank() * d * 6,
              0,
              code("matmul_pack.cu", "element_group_kernel"));
      case "dropout, rows" ->
          Work.stream(launch, threads * 32, threads * 8 * DRAW, code("dropout.cu", "dropout_rows"));
      // Elementwise: eight elements a thread, float32 in and bfloat16 out.
      default -> Work.stream(launch, threads * 48, 0, Code.UNKNOWN);
    };
  }

  private Work attention(Launch launch) {
    double tokens = s.batch() * (double) s.source();
    double targets = s.batch() * (double) s.target();
    boolean manyQueries = launch.x() > 2L * s.batch();
    boolean keys = launch.name().endsWith("keys");
    // The decoder's and cross-attention: both have few queries. For keys the latter has many
    // blocks.
    double pairs;
    double rows;
    if (keys) {
      pairs = manyQueries ? tokens * (s.source() + s.target()) / 2 : targets * (s.target() + 1) / 2;
      rows = manyQueries ? 2.5 * tokens : 4 * targets;
    } else {
      pairs =
          manyQueries ? tokens * s.source() : targets * ((s.target() + 1) / 2.0 + s.source()) / 2;
      rows = manyQueries ? 4 * tokens : tokens + 3 * targets;
    }
    String file = launch.name().equals("attention") ? "attention.cu" : "attention_backward_mma.cu";
    String kernel =
        launch.name().equals("attention")
            ? "attention_kernel<64>"
            : keys ? "keys_kernel<64>" : "queries_kernel<64>";
    // Products for a pair: two forward; three for the gradients of queries, four for those of keys.
    int products = launch.name().equals("attention") ? 2 : keys ? 4 : 3;
    double bytes = 2 * rows * s.d();
    return new Work(
        bytes,
        2 * pairs * s.d() / 64 * 2 / launch.blocks() + bytes / launch.blocks(),
        2.0 * products * s.d() * pairs,
        MMA,
        0,
        code(file, kernel),
        0);
  }

  private Code code(String source, String name) {
    return Code.find(codes, source, name);
  }
}
