package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.inPlace;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Operations from logits to tokens in libtorch. */
final class TorchSampling {
  private TorchSampling() {}

  static Call prepare(SamplingProblem problem) {
    return switch (problem) {
      case SamplingProblem.Softmax p -> {
        Tensor x = view(p.x());
        yield call(
            p.logarithm() ? () -> torch.log_softmax(x, -1) : () -> torch.softmax(x, -1),
            view(p.y()));
      }
      case SamplingProblem.Sample p -> sample(p);
      case SamplingProblem.TopK p -> topK(p);
      case SamplingProblem.ProcessLogits p -> processLogits(p);
    };
  }

  /** Applies the warpers of transformers in its order, then samples. */
  private static Call sample(SamplingProblem.Sample p) {
    Tensor logits = view(p.logits());
    Tensor tokens = view(p.tokens());
    torch.manual_seed(p.seed());
    if (p.greedy()) {
      LongOptional last = new LongOptional(-1);
      return call(() -> torch.argmax(logits, last, false), tokens);
    }
    Scalar temperature = new Scalar(p.temperature());
    Scalar never = new Scalar(Float.NEGATIVE_INFINITY);
    Scalar dropped = new Scalar(1 - p.topP());
    long vocabulary = p.logits().columns();
    return call(
        () -> {
          Tensor scores = logits.div(temperature);
          if (p.topK() > 0) {
            Tensor smallest = torch.topk(scores, p.topK()).get0().narrow(1, p.topK() - 1, 1);
            scores = scores.masked_fill(scores.lt(smallest), never);
          }
          if (p.topP() < 1) {
            T_TensorTensor_T sorted = torch.sort(scores, -1, false);
            Tensor removed = sorted.get0().softmax(-1).cumsum(-1).le(dropped);
            removed.narrow(1, vocabulary - 1, 1).zero_();
            scores = scores.masked_fill(removed.scatter(1, sorted.get1(), removed), never);
          }
          return torch.multinomial(scores.softmax(-1), 1).squeeze(1);
        },
        tokens);
  }

  private static Call topK(SamplingProblem.TopK p) {
    Tensor x = view(p.x());
    Tensor values = view(p.values());
    Tensor indices = view(p.indices());
    long k = p.values().columns();
    Tensor bestValues = torch.empty_like(values);
    Tensor bestIndices = indices.to(ScalarType.Long);
    return new Call() {
      @Override
      public void run() {
        torch.topk_out(bestValues, bestIndices, x, k).close();
      }

      @Override
      public void publish() {
        values.copy_(bestValues);
        indices.copy_(bestIndices);
      }
    };
  }

  /**
   * Applies the processors of transformers, in place and without its loop in Python over n-grams:
   * windows of the history are compared with its end.
   */
  private static Call processLogits(SamplingProblem.ProcessLogits p) {
    Tensor scores = view(p.scores());
    Tensor history = view(p.history()).to(ScalarType.Long);
    Tensor endTokens = view(p.endTokens()).to(ScalarType.Long);
    long length = p.history().columns();
    long known = p.ngram() - 1;
    boolean tooShort = length - 1 < p.minNewTokens();
    Scalar zero = new Scalar(0.0);
    Scalar penalty = new Scalar(p.penalty());
    Scalar never = new Scalar(Float.NEGATIVE_INFINITY);
    Scalar always = new Scalar(Float.POSITIVE_INFINITY);
    return inPlace(
        () -> {
          Tensor old = torch.gather(scores, 1, history);
          Tensor changed = torch.where(old.lt(zero), old.mul(penalty), old.div(penalty));
          scores.scatter_(1, history, changed);

          Tensor windows = history.unfold(1, p.ngram(), 1);
          Tensor last = history.narrow(1, length - known, known).unsqueeze(1);
          Tensor repeated = windows.narrow(2, 0, known).eq(last).all(-1);
          scores.scatter_reduce_(
              1,
              windows.select(2, known),
              torch.where(repeated, never, always).to(ScalarType.Float),
              "amin");
          if (tooShort) {
            scores.index_fill_(1, endTokens, never);
          }
        });
  }
}
