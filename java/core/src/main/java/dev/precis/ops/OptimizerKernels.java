package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_adafactor_args;
import dev.precis.ffi.generated.precis_adam_args;
import dev.precis.ffi.generated.precis_sgd_args;
import dev.precis.ffi.generated.precis_sum_of_squares_args;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Optimizers' steps and the gradient's norm. */
final class OptimizerKernels extends Kernels {
  // The constants of the paper (Shazeer and Stern 2018).
  private static final float ADAFACTOR_DECAY_RATE = -0.8f;
  private static final float ADAFACTOR_EPSILON1 = 1e-30f;
  private static final float ADAFACTOR_EPSILON2 = 1e-3f;
  private static final float ADAFACTOR_CLIP_THRESHOLD = 1;

  private final MemorySegment adam = block(precis_adam_args.layout());
  private final MemorySegment sgd = block(precis_sgd_args.layout());
  private final MemorySegment adafactor = block(precis_adafactor_args.layout());
  private final MemorySegment sumOfSquares = block(precis_sum_of_squares_args.layout());
  private final MemorySegment result; // the kernel writes it, on a GPU too

  OptimizerKernels(Context context, OpTimer timer, Arena arena) {
    super(context, timer, arena);
    result = context.allocateShared(arena, Double.BYTES);
  }

  double sumOfSquares(Tensor x) {
    put(sumOfSquares, precis_sum_of_squares_args.x$offset(), x);
    precis_sum_of_squares_args.result(sumOfSquares, result);
    check("sum_of_squares", Precis.precis_sum_of_squares(begin(), sumOfSquares));
    context.synchronize();
    return result.get(JAVA_DOUBLE, 0);
  }

  void adam(
      Tensor parameter, Tensor gradient, Tensor m, Tensor v, Update.Adam settings, Update update) {
    put(adam, precis_adam_args.parameter$offset(), parameter);
    put(adam, precis_adam_args.gradient$offset(), gradient);
    put(adam, precis_adam_args.m$offset(), m);
    put(adam, precis_adam_args.v$offset(), v);
    precis_adam_args.step(adam, update.step());
    precis_adam_args.learning_rate(adam, update.learningRate());
    precis_adam_args.beta1(adam, settings.beta1());
    precis_adam_args.beta2(adam, settings.beta2());
    precis_adam_args.epsilon(adam, settings.epsilon());
    precis_adam_args.weight_decay(adam, settings.weightDecay());
    precis_adam_args.gradient_scale(adam, update.gradientScale());
    precis_adam_args.decoupled(adam, flag(settings.decoupled()));
    if (timer.isOn()) {
      // Parameter, gradient and moments are read; all but the gradient are written.
      timer.count(0, 7.0 * Float.BYTES * parameter.rows() * parameter.columns());
    }
    check("adam", Precis.precis_adam(begin(), adam));
  }

  void sgd(Tensor parameter, Tensor gradient, Tensor buffer, Update.Sgd settings, Update update) {
    put(sgd, precis_sgd_args.parameter$offset(), parameter);
    put(sgd, precis_sgd_args.gradient$offset(), gradient);
    put(sgd, precis_sgd_args.buffer$offset(), buffer);
    precis_sgd_args.step(sgd, update.step());
    precis_sgd_args.learning_rate(sgd, update.learningRate());
    precis_sgd_args.momentum(sgd, settings.momentum());
    precis_sgd_args.weight_decay(sgd, settings.weightDecay());
    precis_sgd_args.gradient_scale(sgd, update.gradientScale());
    check("sgd", Precis.precis_sgd(begin(), sgd));
  }

  void adafactor(
      Tensor parameter,
      Tensor gradient,
      Tensor row,
      Tensor column,
      Update.Adafactor settings,
      Update update) {
    put(adafactor, precis_adafactor_args.parameter$offset(), parameter);
    put(adafactor, precis_adafactor_args.gradient$offset(), gradient);
    put(adafactor, precis_adafactor_args.row$offset(), row);
    put(adafactor, precis_adafactor_args.column$offset(), column);
    precis_adafactor_args.step(adafactor, update.step());
    precis_adafactor_args.learning_rate(adafactor, update.learningRate());
    precis_adafactor_args.decay_rate(adafactor, ADAFACTOR_DECAY_RATE);
    precis_adafactor_args.epsilon1(adafactor, ADAFACTOR_EPSILON1);
    precis_adafactor_args.epsilon2(adafactor, ADAFACTOR_EPSILON2);
    precis_adafactor_args.clip_threshold(adafactor, ADAFACTOR_CLIP_THRESHOLD);
    precis_adafactor_args.weight_decay(adafactor, settings.weightDecay());
    precis_adafactor_args.gradient_scale(adafactor, update.gradientScale());
    precis_adafactor_args.scale_parameter(adafactor, flag(settings.scaleParameter()));
    check("adafactor", Precis.precis_adafactor(begin(), adafactor));
  }
}
