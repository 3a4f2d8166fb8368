package esdbserver

import (
	"context"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
)

// serviceHealth is the health checking protocol of gRPC, which load balancers and orchestrators speak. Nobody has to say who they are.
const serviceHealth = "grpc.health.v1.Health"

// health tells whether the log answers.
func (v *service) health(ctx context.Context) *grpc_health_v1.HealthCheckResponse {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := v.log.Head(ctx); err != nil {
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
}

func (v *service) checkHealth(ctx context.Context, c call) error {
	if err := c.receive(&grpc_health_v1.HealthCheckRequest{}); err != nil {
		return err
	}
	return c.SendMsg(v.health(ctx))
}

// watchHealth tells whether the log answers, whenever that changes, and of the end of the server.
func (v *service) watchHealth(ctx context.Context, c call) error {
	if err := c.receive(&grpc_health_v1.HealthCheckRequest{}); err != nil {
		return err
	}
	ticker := time.NewTicker(healthTimeout)
	defer ticker.Stop()
	told := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		if now := v.health(ctx); now.GetStatus() != told {
			told = now.GetStatus()
			if err := c.SendMsg(now); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-v.stopping:
			return c.SendMsg(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
