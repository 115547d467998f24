package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.Ops;
import dev.precis.ops.Update;
import java.lang.foreign.ValueLayout;

/** Optimizers by this project's kernels. */
final class PrecisOptimizers {
  private final Ops ops;

  PrecisOptimizers(PrecisProvider precis) {
    this.ops = precis.ops();
  }

  Call prepare(OptimizerProblem problem) {
    return switch (problem) {
      case OptimizerProblem.Adam p -> {
        OptimizerProblem.State s = p.state();
        Update.Adam settings =
            new Update.Adam(p.beta1(), p.beta2(), p.epsilon(), p.step().weightDecay(), true);
        Update update = update(p.step());
        yield () -> ops.adam(s.parameter(), p.gradient(), s.first(), s.second(), settings, update);
      }
      case OptimizerProblem.Sgd p -> {
        OptimizerProblem.State s = p.state();
        Update.Sgd settings = new Update.Sgd(p.momentum(), p.step().weightDecay());
        Update update = update(p.step());
        yield () -> ops.sgd(s.parameter(), p.gradient(), s.first(), settings, update);
      }
      case OptimizerProblem.Adafactor p -> {
        OptimizerProblem.State s = p.state();
        Update.Adafactor settings = new Update.Adafactor(p.step().weightDecay(), true);
        Update update = update(p.step());
        yield () ->
            ops.adafactor(s.parameter(), p.gradient(), s.first(), s.second(), settings, update);
      }
      case OptimizerProblem.SumOfSquares p -> sumOfSquares(p);
    };
  }

  private static Update update(OptimizerProblem.Step step) {
    return new Update(step.number(), step.learningRate(), step.gradientScale());
  }

  private Call sumOfSquares(OptimizerProblem.SumOfSquares p) {
    return new Call() {
      private double sum;

      @Override
      public void run() {
        sum = ops.sumOfSquares(p.x());
      }

      @Override
      public void publish() {
        p.result().memory().set(ValueLayout.JAVA_FLOAT, 0, (float) sum);
      }
    };
  }
}
